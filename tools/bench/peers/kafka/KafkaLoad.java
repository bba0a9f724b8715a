import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.HdrHistogram.ConcurrentHistogram;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The load on Kafka, with its own client: jobs come as JSON, one a line, and each is answered by one line, after a first
 * one that says that it is ready. Measures as the loads on Partita do: the closed loop from the first send to the last
 * acknowledgement, the open loop from the moment at which a record was due. Ends with its standard input.
 *
 * Arguments: the brokers' addresses by comma, and how many there are.
 */
public final class KafkaLoad {
  /** Histograms are merged with those of the other loads: microseconds, three digits, the same highest value. */
  private static final long HIGHEST_MICROS = 60_000_000;
  /** What comes first at a rate is not counted. */
  private static final double RATE_WARM_UP_SECONDS = 0.5;
  private static final long TICK_NANOS = 1_000_000;
  private static final int KEY_BYTES = 16;
  /** Of a record of Partita beside its key and value; sizes are told with it, so that all systems get the same bytes. */
  private static final int FRAMING_BYTES = 12;
  /** Records are made once: what is sent must not cost more than sending. */
  private static final int POOL_BYTES = 16 * 1024 * 1024;
  private static final long WAIT_MS_MAX = 60_000;

  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] arguments) throws Exception {
    PrintStream answers = System.out;
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments[0]));
        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in))) {
      until("the brokers to know each other", () -> admin.describeCluster().nodes().get().size() == Integer.parseInt(arguments[1]));
      answers.println("{\"ready\":true}");
      for (String line = jobs.readLine(); line != null; line = jobs.readLine()) {
        answers.println(JSON.writeValueAsString(answer(arguments[0], admin, JSON.readTree(line))));
      }
    }
  }

  private static ObjectNode answer(String servers, Admin admin, JsonNode job) {
    try {
      switch (job.get("kind").asText()) {
        case "create":
          create(admin, job);
          return JSON.createObjectNode();
        case "delete":
          admin.deleteTopics(List.of(job.get("topic").asText())).all().get();
          return JSON.createObjectNode();
        default:
          return new KafkaLoad(servers, job).run();
      }
    } catch (Exception error) {
      return JSON.createObjectNode().put("error", String.valueOf(error));
    }
  }

  /** Returns when all replicas are in sync. */
  private static void create(Admin admin, JsonNode job) throws Exception {
    String topic = job.get("topic").asText();
    short replicas = (short) job.get("replicationFactor").asInt();
    Map<String, String> configs = new HashMap<>();
    job.get("configs").properties().forEach(entry -> configs.put(entry.getKey(), entry.getValue().asText()));
    NewTopic wanted = new NewTopic(topic, job.get("partitionCount").asInt(), replicas).configs(configs);
    admin.createTopics(List.of(wanted)).all().get();
    until("the replicas of " + topic + " to get in sync", () -> {
      TopicDescription found = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
      return found.partitions().stream().allMatch(partition -> partition.leader() != null && partition.isr().size() == replicas);
    });
  }

  /** What throws is not so yet. */
  private static void until(String what, Callable<Boolean> look) throws Exception {
    long deadline = System.currentTimeMillis() + WAIT_MS_MAX;
    Exception last = null;
    while (System.currentTimeMillis() < deadline) {
      try {
        if (look.call()) return;
      } catch (Exception notYet) {
        last = notYet;
      }
      Thread.sleep(50);
    }
    throw new IllegalStateException("waited too long for " + what, last);
  }

  private final KafkaProducer<byte[], byte[]> producer;
  private final String topic;
  private final double seconds;
  private final int recordBytes;
  private final int inFlightMax;
  /** 0 = the closed loop. */
  private final double ratePerSecond;
  private final List<byte[][]> pool = new ArrayList<>();
  private final AtomicReference<Exception> failure = new AtomicReference<>();

  private KafkaLoad(String servers, JsonNode job) {
    topic = job.get("topic").asText();
    seconds = job.get("seconds").asDouble();
    recordBytes = job.get("recordBytes").asInt();
    inFlightMax = Math.max(1, job.get("inFlightBytes").asInt() / recordBytes);
    ratePerSecond = job.path("ratePerSecond").asDouble(0);
    Random random = new Random(1);
    for (int bytes = 0; bytes < POOL_BYTES; bytes += recordBytes) {
      byte[] key = String.format("%016x", random.nextLong()).getBytes();
      byte[] value = new byte[recordBytes - KEY_BYTES - FRAMING_BYTES];
      random.nextBytes(value);
      pool.add(new byte[][] {key, value});
    }
    Map<String, Object> configs = new HashMap<>();
    job.get("configs").properties().forEach(entry -> configs.put(entry.getKey(), entry.getValue().asText()));
    configs.put("bootstrap.servers", servers);
    producer = new KafkaProducer<>(configs, new ByteArraySerializer(), new ByteArraySerializer());
  }

  private ObjectNode run() throws Exception {
    try (producer) {
      producer.partitionsFor(topic);
      return ratePerSecond == 0 ? closedLoop() : openLoop();
    }
  }

  private ObjectNode closedLoop() throws Exception {
    Semaphore room = new Semaphore(inFlightMax);
    long startNanos = System.nanoTime();
    long endNanos = startNanos + (long) (seconds * 1e9);
    long sent = 0;
    while (System.nanoTime() < endNanos && failure.get() == null) {
      room.acquire();
      send(sent++, room::release);
    }
    room.acquire(inFlightMax);
    return sample(sent, System.nanoTime() - startNanos);
  }

  private ObjectNode openLoop() throws Exception {
    ConcurrentHistogram latencies = new ConcurrentHistogram(1, HIGHEST_MICROS, 3);
    Semaphore room = new Semaphore(inFlightMax);
    long warmUpCount = (long) Math.ceil(RATE_WARM_UP_SECONDS * ratePerSecond);
    long recordCount = warmUpCount + (long) Math.ceil(seconds * ratePerSecond);
    long startNanos = System.nanoTime();
    long sent = 0;
    while (sent < recordCount && failure.get() == null) {
      long elapsed = System.nanoTime() - startNanos;
      long due = Math.min(recordCount, 1 + (long) (elapsed * ratePerSecond / 1e9));
      while (sent < due) {
        long dueNanos = startNanos + (long) (sent * 1e9 / ratePerSecond);
        boolean counts = sent >= warmUpCount;
        room.acquire();
        send(sent++, () -> {
          if (counts) latencies.recordValue(micros(System.nanoTime() - dueNanos));
          room.release();
        });
      }
      LockSupport.parkNanos(TICK_NANOS);
    }
    room.acquire(inFlightMax);
    long countedFrom = startNanos + (long) (warmUpCount * 1e9 / ratePerSecond);
    ObjectNode sample = sample(recordCount - warmUpCount, System.nanoTime() - countedFrom);
    ByteBuffer encoded = ByteBuffer.allocate(latencies.getNeededByteBufferCapacity());
    int length = latencies.encodeIntoCompressedByteBuffer(encoded);
    return sample.put("latencies", Base64.getEncoder().encodeToString(Arrays.copyOf(encoded.array(), length)));
  }

  private static long micros(long nanos) {
    return Math.max(1, Math.min(nanos / 1000, HIGHEST_MICROS));
  }

  private void send(long number, Runnable onAnswer) {
    byte[][] record = pool.get((int) (number % pool.size()));
    producer.send(new ProducerRecord<>(topic, record[0], record[1]), (metadata, error) -> {
      if (error != null) failure.compareAndSet(null, error);
      onAnswer.run();
    });
  }

  private ObjectNode sample(long recordCount, long nanos) throws Exception {
    if (failure.get() != null) throw failure.get();
    ObjectNode sample = JSON.createObjectNode();
    return sample.put("recordCount", recordCount).put("bytes", recordCount * recordBytes).put("durationMs", nanos / 1e6);
  }
}
