"""Whether two columns hold the same values, where writers and readers have different types for them."""
import pyarrow as pa


def plain(values):
    """The same values in a type that does not depend on who wrote or read them."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # no chunk at all
        values = pa.array([], values.type)
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(values.storage)
    if pa.types.is_dictionary(kind):
        return plain(values.cast(kind.value_type))
    if pa.types.is_duration(kind) or pa.types.is_time(kind) and kind.unit in ('s', 'ms'):
        return values.cast(pa.int64()) if pa.types.is_duration(kind) else values.cast(pa.time64('us'))
    if pa.types.is_timestamp(kind):
        return values.cast(pa.timestamp(kind.unit)) if kind.tz else values
    if pa.types.is_float16(kind):
        return values.cast(pa.float32())
    if pa.types.is_date64(kind):
        return values.cast(pa.date32())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return values.cast(pa.binary())
    return values


def decoded(table):
    """A table whose columns every function of pyarrow takes."""
    easy = lambda kind: isinstance(kind, pa.BaseExtensionType) or pa.types.is_string_view(kind) or pa.types.is_binary_view(kind) or pa.types.is_dictionary(kind)
    for i, field in enumerate(table.schema):
        if easy(field.type):
            table = table.set_column(i, field.name, plain(table.column(i)))
    return table


def same(left, right):
    """True where both hold the same values; NaN is the same as NaN."""
    left, right = plain(left), plain(right)
    if left.type == right.type and left.equals(right):
        return True
    if pa.types.is_timestamp(left.type) and pa.types.is_timestamp(right.type):
        left, right = left.cast(pa.timestamp('ns')), right.cast(pa.timestamp('ns'))
        return left.equals(right)
    a, b = left.to_pylist(), right.to_pylist()
    return a == b or repr(a) == repr(b)


def difference(left, right):
    """What differs first, in words; None where nothing does."""
    if same(left, right):
        return None
    a, b = plain(left), plain(right)
    if len(a) != len(b):
        return f'{len(a)} values instead of {len(b)}'
    for row, (x, y) in enumerate(zip(a.to_pylist(), b.to_pylist())):
        if x != y and repr(x) != repr(y):
            return f'row {row} is {x!r} ({a.type}) instead of {y!r} ({b.type})'
    return f'{a.type} instead of {b.type}'


def same_scores(got, want, exact):
    """Predictions: bit for bit, or within 1e-6 where something else than the model had a hand in them."""
    if isinstance(got, pa.ChunkedArray):
        got = pa.concat_arrays(got.chunks) if got.num_chunks else pa.array([], got.type)
    got = got.cast(want.type)
    if got.equals(want):
        return True
    if exact or not pa.types.is_floating(want.type):
        return False
    return all(x is y or (x is not None and y is not None and abs(x - y) <= 1e-6 * max(1, abs(y))) for x, y in zip(got.to_pylist(), want.to_pylist()))
