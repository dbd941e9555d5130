/** Models that the fuzzer needs, made here. */
import { create, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from '../../dist/model/onnx_pb.js';

/** Gives back what it gets: input `X`, output `Y`, both float32 `[N, width]`. */
export function identityModel(width) {
  const value = (name) => ({
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: 1,
          shape: {
            dim: [{ value: { case: 'dimParam', value: 'N' } }, { value: { case: 'dimValue', value: BigInt(width) } }],
          },
        },
      },
    },
  });
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 9n,
      producerName: 'fuzz',
      opsetImport: [{ domain: '', version: 17n }],
      graph: {
        name: 'identity',
        input: [value('X')],
        output: [value('Y')],
        node: [{ opType: 'Identity', input: ['X'], output: ['Y'] }],
      },
    }),
  );
}
