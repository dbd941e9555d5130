"""PyTorch by both of its exporters, and what is done to such graphs afterwards: float16, int8, external weights."""
import numpy as np
import onnx
import onnx.version_converter
import torch
from onnxconverter_common import float16
from onnxruntime.quantization import QuantType, quantize_dynamic

from zoo import X, case, matrix, target, tables, arrays, vectors

x = matrix(X)
tokens = np.column_stack([arrays["token_a"].to_numpy(), arrays["token_b"].to_numpy()]).astype(np.int64)
torch.set_num_threads(1)


def seeded(build):
    torch.manual_seed(7)
    return build().eval()


def mlp(last=3):
    return torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 8), torch.nn.Tanh(), torch.nn.Linear(8, last),
        torch.nn.Softmax(dim=1) if last > 1 else torch.nn.Sigmoid(),
    )


def chances(model, *values):
    with torch.no_grad():
        return model(*map(torch.from_numpy, values)).numpy()


def export(model, folder, args, names, outputs, dynamo, **options):
    path = folder / "model.onnx"
    if dynamo:
        batch = torch.export.Dim("batch")
        torch.onnx.export(
            model, args, str(path), input_names=names, output_names=outputs, dynamo=True, external_data=False,
            dynamic_shapes=tuple({0: batch} for _ in args), verbose=False, **options,
        )
        # It notes on every node where in which file it comes from: nothing of the model, and paths of this machine.
        model = onnx.load(path)
        for each in [model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output]:
            del each.metadata_props[:]
        onnx.save(model, path)
    else:
        torch.onnx.export(
            model, args, str(path), input_names=names, output_names=outputs, dynamo=False,
            dynamic_axes={name: {0: "batch"} for name in [*names, *outputs]}, opset_version=17, **options,
        )
    return path


def softmax_case(path, model):
    found = chances(model, x)
    return {
        "file": path, "feeds": {"input": x}, "features": X,
        "outputs": {"last": {"from": "probs", "index": 2}, "best": {"from": "probs", "reduce": "argmax"}, "sure": {"from": "probs", "reduce": "max"}},
        "expected": {
            "last": (lambda o: o["probs"][:, 2], found[:, 2]),
            "best": (lambda o: o["probs"].argmax(axis=1), found.argmax(axis=1)),
            "sure": (lambda o: o["probs"].max(axis=1), found.max(axis=1)),
        },
    }


@case
def torch_mlp_script(folder):
    model = seeded(mlp)
    return softmax_case(export(model, folder, (torch.from_numpy(x),), ["input"], ["probs"], False), model)


@case
def torch_mlp_dynamo(folder):
    model = seeded(mlp)
    return softmax_case(export(model, folder, (torch.from_numpy(x),), ["input"], ["probs"], True), model)


@case
def torch_one_column(folder):
    """[N, 1], as Keras and TensorFlow give the chance of two classes."""
    model = seeded(lambda: mlp(1))
    path = export(model, folder, (torch.from_numpy(x),), ["dense_input"], ["dense_2"], False)
    return {
        "file": path, "feeds": {"dense_input": x}, "features": X, "outputs": {"chance": "dense_2"},
        "expected": {"chance": (lambda o: o["dense_2"], chances(model, x).ravel())},
    }


class Embedder(torch.nn.Module):
    """Two kinds of tokens, each with a table, and what they give together: a score and a vector."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(50, 4)
        self.head = torch.nn.Linear(8, 1)

    def forward(self, tokens):
        vector = self.table(tokens).flatten(1)
        return self.head(vector), vector


def embedder_case(folder, dynamo):
    model = seeded(Embedder)
    path = export(model, folder, (torch.from_numpy(tokens),), ["tokens"], ["score", "vector"], dynamo)
    with torch.no_grad():
        score, vector = (each.numpy() for each in model(torch.from_numpy(tokens)))
    return {
        "file": path, "feeds": {"tokens": tokens}, "features": ["token_a", "token_b"],
        "outputs": {"score": "score", "vector": {"from": "vector", "as": "list"}},
        "expected": {"score": (lambda o: o["score"], score.ravel()), "vector": (lambda o: o["vector"], vector)},
    }


@case
def torch_embedding_script(folder):
    return embedder_case(folder, False)


@case
def torch_embedding_dynamo(folder):
    return embedder_case(folder, True)


@case
def torch_float16_weights(folder):
    """Weights of 16 bits, inputs and outputs of 32."""
    model = seeded(mlp)
    path = export(model, folder, (torch.from_numpy(x),), ["input"], ["probs"], False)
    onnx.save(float16.convert_float_to_float16(onnx.load(path), keep_io_types=True), path)
    return {**softmax_case(path, model), "tolerance": 0.005}


@case
def torch_float16_inputs(folder):
    """All of it in 16 bits, inputs and outputs as well."""
    model = seeded(mlp)
    path = export(model, folder, (torch.from_numpy(x),), ["input"], ["probs"], False)
    onnx.save(float16.convert_float_to_float16(onnx.load(path), keep_io_types=False), path)
    made = softmax_case(path, model)
    # What is cast at the borders need not be rounded to 16 bits on the way: ONNX Runtime leaves out a Cast there and back.
    return {**made, "feeds": {"input": x.astype(np.float16)}, "python": 0.001, "tolerance": 0.005}


@case
def torch_int8_quantized(folder):
    model = seeded(mlp)
    path = export(model, folder, (torch.from_numpy(x),), ["input"], ["probs"], False)
    quantize_dynamic(str(path), str(path), weight_type=QuantType.QInt8)
    return {**softmax_case(path, model), "tolerance": 0.05}


@case
def torch_external_weights(folder):
    model = seeded(mlp)
    path = export(model, folder, (torch.from_numpy(x),), ["input"], ["probs"], False)
    loaded = onnx.load(path)
    onnx.save_model(loaded, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return softmax_case(path, model)


def fixed_case(folder, rows):
    model = seeded(mlp)
    path = folder / "model.onnx"
    torch.onnx.export(model, (torch.from_numpy(x[:rows]),), str(path), input_names=["input"], output_names=["probs"], dynamo=False, opset_version=17)
    return softmax_case(path, model)


@case
def torch_one_row_at_a_time(folder):
    return fixed_case(folder, 1)


@case
def torch_32_rows_at_a_time(folder):
    return fixed_case(folder, 32)


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(8, 4)

    def forward(self, vector):
        code = torch.nn.functional.normalize(self.inner(vector), dim=1)
        return code, code.square().sum(dim=1)


def list_case(folder, feature):
    model = seeded(Encoder)
    path = export(model, folder, (torch.from_numpy(vectors),), ["vector"], ["code", "norm"], False)
    with torch.no_grad():
        code, norm = (each.numpy() for each in model(torch.from_numpy(vectors)))
    return {
        "file": path, "feeds": {"vector": vectors}, "features": [feature],
        "outputs": {"code": {"from": "code", "as": "list"}, "norm": "norm"},
        "expected": {"code": (lambda o: o["code"], code), "norm": (lambda o: o["norm"], norm)},
    }


@case
def torch_fixed_size_lists(folder):
    return list_case(folder, "embedding")


@case
def torch_lists(folder):
    return list_case(folder, "embedding_list")


def with_opset(opset):
    def made(folder):
        model = seeded(mlp)
        path = export(model, folder, (torch.from_numpy(x),), ["input"], ["probs"], True, opset_version=opset)
        return softmax_case(path, model)

    made.__name__ = f"torch_opset_{opset:02}"
    return made


for each in (18, 20, 21, 22, 23, 24, 25):
    case(with_opset(each))


@case
def torch_newest(folder):
    """The newest opset and IR version that ONNX Runtime takes, to which onnx brings an older model."""
    model = seeded(mlp)
    path = export(model, folder, (torch.from_numpy(x),), ["input"], ["probs"], False)
    newest = onnx.version_converter.convert_version(onnx.load(path), 26)
    newest.ir_version = 13
    onnx.save(newest, path)
    return softmax_case(path, model)
