// Reads the topic of states as a table, with Kafka Streams, and joins the events of the same users with it.
//
// Each change of the table, and each event with what the table has of its user, is a line of JSON on standard output.
// `python -m benchmarks.streams` fetches what it needs and starts it; it goes on until it is interrupted.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.time.Instant;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.KeyValueStore;

public class Memberships {
    static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        String servers = arguments[0], prefix = arguments[1];
        StreamsBuilder builder = new StreamsBuilder();
        Consumed<String, String> texts = Consumed.with(Serdes.String(), Serdes.String());
        KTable<String, String> table = builder.table(prefix + ".memberships", texts,
            Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as("memberships"));
        table.toStream().foreach((user, state) -> say("state", user, state, null));
        builder.stream(prefix + ".membership-events", texts)
            .leftJoin(table, (event, state) -> new String[] {event, state})
            .foreach((user, both) -> say("event", user, both[1], both[0]));

        Properties properties = new Properties();
        properties.putAll(Map.of(
            StreamsConfig.APPLICATION_ID_CONFIG, prefix + ".streams",
            StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers,
            StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0, // each change at once
            StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("memberships").toString(),
            StreamsConfig.consumerPrefix("isolation.level"), "read_committed",
            StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest"));
        KafkaStreams streams = new KafkaStreams(builder.build(), properties);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    /** What a reader makes of a state: the segments whose end has not come by its own clock. */
    static void say(String what, String user, String state, String event) {
        try {
            ObjectNode line = JSON.createObjectNode().put("what", what).put("user_id", user);
            if (event != null) {
                line.put("event_sequence", JSON.readTree(event).get("sequence").asLong());
            }
            if (state != null) {
                JsonNode found = JSON.readTree(state);
                line.put("sequence", found.get("sequence").asLong());
                ArrayNode segments = line.putArray("segments");
                for (JsonNode item : found.get("segments")) {
                    JsonNode end = item.get("expires_at");
                    if (end.isNull() || Instant.now().isBefore(Instant.parse(end.asText()))) {
                        segments.add(item.get("segment").asText());
                    }
                }
            }
            System.out.println(line);
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }
}
