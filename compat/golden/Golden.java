// Writes files of tests/golden/wire (README.md beside this says how and when): what the generated classes of Apache
// Kafka write, two messages a version, once with every field set to something else than its default, once with nulls
// and defaults among them. Which fields a version has, and which of them may be null, is read from the classes' own
// schemas. The values are random, the seed is the name: the same Kafka always gives the same files.
//
//   java -cp CLASSPATH Golden.java DIRECTORY Produce RequestHeader TopicRecord ...

import static org.apache.kafka.common.protocol.types.Type.UINT16;
import static org.apache.kafka.common.protocol.types.Type.UNSIGNED_INT32;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.metadata.MetadataRecordSerde;
import org.apache.kafka.server.common.ApiMessageAndVersion;

public final class Golden {
    private static final String[] LETTERS = {"a", "B", "7", "-", ".", "é", "ł", "中", "🦦"};

    private final Random random;
    /** Whether every field differs from its default. */
    private final boolean full;

    private Golden(Random random, boolean full) {
        this.random = random;
        this.full = full;
    }

    public static void main(String[] args) throws ReflectiveOperationException, IOException {
        for (String name : Arrays.copyOfRange(args, 1, args.length)) {
            List<String> lines = new ArrayList<>();
            Optional<ApiKeys> api =
                    Arrays.stream(ApiKeys.values()).filter(key -> key.messageType.name.equals(name)).findAny();
            if (api.isPresent()) {
                short last = api.get().latestVersion(false);
                addLines(lines, name + "Request", last);
                addLines(lines, name + "Response", last);
            } else {
                addLines(lines, name, Short.MAX_VALUE);
            }
            Files.write(Path.of(args[0], name + ".txt"), lines);
        }
    }

    private static void addLines(List<String> lines, String name, short last)
            throws ReflectiveOperationException {
        Class<?> type = find(name);
        Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        Random random = new Random(name.hashCode());
        for (short version = 0; version < schemas.length && version <= last; version++) {
            // A version that is no longer supported has no schema; one that is not stable yet is beyond the last.
            if (schemas[version] != null) {
                for (boolean full : new boolean[] {true, false}) {
                    ApiMessage message = (ApiMessage) new Golden(random, full).structure(type, schemas[version]);
                    lines.add(name + " " + version + " " + HexFormat.of().formatHex(bytes(message, version)));
                }
            }
        }
    }

    private static Class<?> find(String name) throws ClassNotFoundException {
        String[] candidates = {
            "org.apache.kafka.common.message." + name + "Data",
            "org.apache.kafka.common.message." + name,
            "org.apache.kafka.common.metadata." + name,
            "org.apache.kafka.coordinator.group.generated." + name,
            "org.apache.kafka.coordinator.transaction.generated." + name,
        };
        for (String candidate : candidates) {
            try {
                return Class.forName(candidate);
            } catch (ClassNotFoundException e) {
                // The next one.
            }
        }
        throw new ClassNotFoundException(name);
    }

    /** As they stand in a request, a response or the value of a record: those of the metadata log are framed. */
    private static byte[] bytes(ApiMessage message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer bytes;
        if (message.getClass().getPackageName().equals("org.apache.kafka.common.metadata")) {
            ApiMessageAndVersion record = new ApiMessageAndVersion(message, version);
            bytes = ByteBuffer.allocate(MetadataRecordSerde.INSTANCE.recordSize(record, cache));
            MetadataRecordSerde.INSTANCE.write(record, cache, new ByteBufferAccessor(bytes));
        } else {
            bytes = ByteBuffer.allocate(message.size(cache, version));
            message.write(new ByteBufferAccessor(bytes), cache, version);
        }
        return bytes.array();
    }

    private Object structure(Class<?> type, Schema schema) throws ReflectiveOperationException {
        Object structure = type.getConstructor().newInstance();
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (Field field : tagged.fields().values()) {
                    set(structure, field);
                }
            } else {
                set(structure, bound.def);
            }
        }
        return structure;
    }

    private void set(Object structure, Field field) throws ReflectiveOperationException {
        boolean nullable = field.type.isNullable();
        boolean isArray = field.type.arrayElementType().isPresent();
        boolean isScalar = !isArray && !(field.type instanceof Schema);
        if (!full && !nullable && isScalar && random.nextInt(3) == 0) {
            return;
        }
        Method setter = accessor(structure.getClass(), "set", field, 1);
        Method getter = accessor(structure.getClass(), "", field, 0);
        Type type = setter.getGenericParameterTypes()[0];
        Object value;
        do {
            // An array is not always null, or nulls among its elements would never be seen.
            boolean isNull = !full && nullable && (!isArray || random.nextBoolean());
            value = isNull ? null : value(type, field.type);
        } while (full && same(value, getter.invoke(structure)));
        setter.invoke(structure, value);
    }

    private Object value(Type type, org.apache.kafka.common.protocol.types.Type wire)
            throws ReflectiveOperationException {
        if (type == boolean.class) {
            return random.nextBoolean();
        } else if (type == byte.class || type == Byte.class) {
            return (byte) random.nextInt();
        } else if (type == short.class) {
            return (short) random.nextInt();
        } else if (type == int.class || type == Integer.class) {
            return wire == UINT16 ? random.nextInt(1 << 16) : random.nextInt();
        } else if (type == long.class || type == Long.class) {
            return wire == UNSIGNED_INT32 ? random.nextLong(1L << 32) : random.nextLong();
        } else if (type == double.class) {
            return random.nextDouble();
        } else if (type == Uuid.class) {
            return new Uuid(random.nextLong(), random.nextLong());
        } else if (type == byte[].class) {
            return bytes();
        } else if (type == BaseRecords.class) {
            return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
        } else if (type == String.class) {
            StringBuilder text = new StringBuilder();
            for (int i = length(8); i > 0; i--) {
                text.append(LETTERS[random.nextInt(LETTERS.length)]);
            }
            return text.toString();
        } else if (wire.arrayElementType().isPresent()) {
            return array(type, wire.arrayElementType().get());
        }
        return structure((Class<?>) type, (Schema) wire);
    }

    private byte[] bytes() {
        byte[] bytes = new byte[length(20)];
        random.nextBytes(bytes);
        return bytes;
    }

    private Object array(Type type, org.apache.kafka.common.protocol.types.Type element)
            throws ReflectiveOperationException {
        Collection<Object> array;
        Type elements;
        if (type instanceof ParameterizedType list) {
            array = new ArrayList<>();
            elements = list.getActualTypeArguments()[0];
        } else {
            Class<?> collection = (Class<?>) type;
            @SuppressWarnings("unchecked")
            Collection<Object> empty = (Collection<Object>) collection.getConstructor().newInstance();
            array = empty;
            elements = ((ParameterizedType) collection.getGenericSuperclass()).getActualTypeArguments()[0];
        }
        int length = element instanceof Schema ? 1 + random.nextInt(2) : length(3);
        for (int i = length; i > 0; i--) {
            array.add(value(elements, element));
        }
        return array;
    }

    /** Below the limit, and not 0 where every field has to differ from its default. */
    private int length(int limit) {
        return full ? 1 + random.nextInt(limit - 1) : random.nextInt(limit);
    }

    private static boolean same(Object value, Object other) {
        return value instanceof byte[] bytes ? Arrays.equals(bytes, (byte[]) other) : value.equals(other);
    }

    /** Of the field's name in a schema: kraft_version there is setKRaftVersion here. */
    private static Method accessor(Class<?> type, String prefix, Field field, int parameters)
            throws NoSuchMethodException {
        String wanted = prefix + field.name.replace("_", "");
        for (Method method : type.getMethods()) {
            if (method.getName().equalsIgnoreCase(wanted) && method.getParameterCount() == parameters) {
                return method;
            }
        }
        throw new NoSuchMethodException(type + "." + wanted);
    }
}
