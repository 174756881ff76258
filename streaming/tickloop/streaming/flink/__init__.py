"""A stream on Apache Flink: what is asked for, the code that travels, and the job itself."""
