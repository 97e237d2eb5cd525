// Prints lines for tests/golden/wire.txt: what the generated classes of Apache Kafka write, two messages a version,
// once with every field set to something else than its default, once with nulls and defaults among them.
//
//   java -cp "$(compat/reference/kafka classpath)" compat/golden/Golden.java JoinGroupRequest GroupMetadataValue ...
//
// Names are those of the schemas, without "Data": requests, responses and the records of the group coordinator. The
// values are random, the seed is the name: the same Kafka always gives the same lines. Which fields a version has, and
// which of them may be null, is read from the classes' own schemas.

import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;

public final class Golden {
    private static final String[] LETTERS = {"a", "B", "7", "-", ".", "é", "ł", "中", "🦦"};

    private final Random random;
    /** Whether every field differs from its default. */
    private final boolean full;

    private Golden(Random random, boolean full) {
        this.random = random;
        this.full = full;
    }

    public static void main(String[] names) throws ReflectiveOperationException {
        for (String name : names) {
            Class<?> type = find(name);
            Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
            Random random = new Random(name.hashCode());
            for (short version = 0; version < schemas.length; version++) {
                // A version that is no longer supported has no schema.
                if (schemas[version] != null) {
                    print(name, version, new Golden(random, true).structure(type, schemas[version]));
                    print(name, version, new Golden(random, false).structure(type, schemas[version]));
                }
            }
        }
    }

    private static Class<?> find(String name) throws ClassNotFoundException {
        try {
            return Class.forName("org.apache.kafka.common.message." + name + "Data");
        } catch (ClassNotFoundException e) {
            return Class.forName("org.apache.kafka.coordinator.group.generated." + name);
        }
    }

    private static void print(String name, short version, Object message) {
        Message written = (Message) message;
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBufferAccessor bytes = new ByteBufferAccessor(ByteBuffer.allocate(written.size(cache, version)));
        written.write(bytes, cache, version);
        System.out.println(name + " " + version + " " + HexFormat.of().formatHex(bytes.buffer().array()));
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
        String name = camelCase(field.name);
        boolean nullable = field.type.isNullable();
        boolean isArray = field.type.arrayElementType().isPresent();
        boolean isScalar = !isArray && !(field.type instanceof Schema);
        if (!full && !nullable && isScalar && random.nextInt(3) == 0) {
            return;
        }
        Method setter = setter(structure.getClass(), name);
        Type type = setter.getGenericParameterTypes()[0];
        Object value;
        do {
            // An array is not always null, or nulls among its elements would never be seen.
            boolean isNull = !full && nullable && (!isArray || random.nextBoolean());
            value = isNull ? null : value(type, field.type);
        } while (full && same(value, structure.getClass().getMethod(name).invoke(structure)));
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
            return random.nextInt();
        } else if (type == long.class || type == Long.class) {
            return random.nextLong();
        } else if (type == Uuid.class) {
            return new Uuid(random.nextLong(), random.nextLong());
        } else if (type == byte[].class) {
            byte[] bytes = new byte[length(20)];
            random.nextBytes(bytes);
            return bytes;
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

    private static Method setter(Class<?> type, String name) throws NoSuchMethodException {
        String wanted = "set" + Character.toUpperCase(name.charAt(0)) + name.substring(1);
        for (Method method : type.getMethods()) {
            if (method.getName().equals(wanted) && method.getParameterCount() == 1) {
                return method;
            }
        }
        throw new NoSuchMethodException(type + "." + wanted);
    }

    private static String camelCase(String snakeCase) {
        StringBuilder camelCase = new StringBuilder();
        for (String word : snakeCase.split("_")) {
            camelCase.append(camelCase.isEmpty() ? word : Character.toUpperCase(word.charAt(0)) + word.substring(1));
        }
        return camelCase.toString();
    }
}
