"""Which shares an element goes to: a step in Java, which Flink compiles where it runs it.

In Python the same step would take every message out of the Java machine, hold the interpreter's
lock that the fold needs, and put the message back in.
"""

CLASS_NAME = "TickloopAddressed"

# `references` are the keys of the shares, and 1 if an element goes to all of them. A message of
# the bus tells its shard in bytes 6 and 7; what tells none is for the first share to refuse.
JAVA = """
import org.apache.flink.streaming.api.graph.StreamConfig;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.Output;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.tasks.ProcessingTimeService;
import org.apache.flink.streaming.runtime.tasks.StreamTask;
import org.apache.flink.types.Row;

public class TickloopAddressed extends AbstractStreamOperator implements OneInputStreamOperator {
  private final Integer[] keys;
  private final boolean isToAll;

  public TickloopAddressed(
      Object[] references, StreamTask task, StreamConfig config, Output output,
      ProcessingTimeService time) throws Exception {
    int[] numbers = (int[]) references[0];
    keys = new Integer[numbers.length];
    for (int share = 0; share < numbers.length; share++) {
      keys[share] = Integer.valueOf(numbers[share]);
    }
    isToAll = ((Integer) references[1]).intValue() == 1;
    setup(task, config, output);
    setProcessingTimeService(time);
  }

  public void processElement(StreamRecord element) throws Exception {
    byte[] raw = (byte[]) element.getValue();
    if (isToAll) {
      for (int share = 0; share < keys.length; share++) {
        output.collect(new StreamRecord(row(keys[share], raw)));
      }
      return;
    }
    int shard = raw.length < 8 ? 0 : (raw[6] & 255) | (raw[7] & 255) << 8;
    output.collect(new StreamRecord(row(keys[shard < keys.length ? shard : 0], raw)));
  }

  private static Row row(Integer key, byte[] raw) {
    Row made = new Row(2);
    made.setField(0, key);
    made.setField(1, raw);
    return made;
  }
}
"""
