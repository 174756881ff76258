# The image of flink-*.yaml: Flink, Python, and the operators of this repository.
# docker build -f infra/kubernetes/flink.Dockerfile -t tickloop-flink:0.1.0 .
FROM flink:2.2.1-java17

USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-pip python3-dev gcc maven \
    && ln -sf /usr/bin/python3 /usr/bin/python

# The connector goes beside Flink's own jars, and so does Flink's Python: a second job of a task
# manager would load it twice and die.
RUN mvn -B -ntp -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
      -Dartifact=org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2 -DoutputDirectory=/opt/flink/lib \
    && cp /opt/flink/opt/flink-python-2.2.1.jar /opt/flink/lib/ \
    && rm -rf ~/.m2

COPY infra/tickloop/infra/pins/flink.txt /tmp/flink.txt
RUN python3 -m pip install --no-cache-dir --require-hashes -r /tmp/flink.txt

COPY . /tmp/tickloop
RUN python3 -m pip install --no-cache-dir --no-deps /tmp/tickloop && rm -rf /tmp/tickloop

USER 9999
