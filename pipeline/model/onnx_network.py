"""A joined network as an ONNX file, layer by layer.

Written directly: by Keras and tf2onnx 1.17, the default head took 30 s and 4 GB, and GELU gave a
file that no runtime loads. ONNX convolutions take (N, channel, row, column), so the map is
transposed to (row, column, channel) before it is flattened.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipeline.errors import ArtifactError, ConfigError
from pipeline.model.joined_network import INPUT, OUTPUTS
from pipeline.model.keras_backend import keras
from pipeline.model.network import copy_of
from pipeline.model.onnx_layers import add_layer

PACKAGE = "onnx"
# The first with GELU, of 2023; the version of the file format that came with it.
OPSET, IR_VERSION = 20, 9


def write_onnx(model: keras.Model, normal: int, path: Path) -> None:
    """Write a network made by `joined_network.join` for the normal class of number `normal`.

    Raises ConfigError when the package onnx is not installed, ArtifactError for a layer that heads
    and trunks do not have.
    """
    if find_spec(PACKAGE) is None:
        raise ConfigError(
            f"An ONNX file needs the package {PACKAGE}, which is not installed. Install it with "
            ".venv/bin/pip install -e '.[onnx]', or export another format."
        )
    import onnx

    graph, model = Graph(), copy_of(model)
    x = graph.add_layers(model.inputs[0], model.layers, INPUT)
    class_count = model.output["probabilities"].shape[1]
    graph.add_outputs(x, class_count, int(model.layers[-1].units) > class_count, normal)
    onnx.save(graph.to_model(model.input_shape[1], class_count), path)


class Graph:
    """Nodes in their order, and the arrays that they use; values are known by name."""

    def __init__(self):
        self.nodes, self.arrays = [], []

    def add(self, operation: str, *inputs: str, output: str | None = None, **attributes) -> str:
        """Add a node and return the name of its output."""
        from onnx import helper

        name = output or f"{operation.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def constant(self, values, dtype: type = np.float32) -> str:
        """Add an array and return its name."""
        from onnx import numpy_helper

        name = f"array{len(self.arrays)}"
        array = np.ascontiguousarray(values, dtype)
        self.arrays.append(numpy_helper.from_array(array, name))
        return name

    def add_layers(self, start: keras.KerasTensor, layers: list[keras.Operation], x: str) -> str:
        """Add the layers of a model, whose input `start` is the value `x`; return the last output.

        Raises ArtifactError for a layer that has no form in ONNX here.
        """
        values, inside = {id(start): x}, x
        for layer in layers:
            if isinstance(layer, keras.layers.InputLayer):
                continue
            if isinstance(layer, keras.Model):
                # Its tensors outside cannot be asked for, but it follows the layer before it.
                x = inside = self.add_layers(layer.inputs[0], layer.operations, x)
                continue
            sources = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
            found = add_layer(self, layer, [values.get(id(each), inside) for each in sources])
            if found is None:
                raise ArtifactError(
                    f"The network has a layer of the kind {type(layer).__name__}, which has no "
                    "form in ONNX here. Export it with --keras."
                )
            x = values[id(layer.output)] = found
        return x

    def add_outputs(self, x: str, class_count: int, background: bool, normal: int) -> None:
        """Add the outputs from those of the softmax, as `joined_network.join`."""
        one = self.constant(1)
        probabilities, at_box, at_found = OUTPUTS
        if background:
            classes = self.slice(x, 0, class_count)
            share = self.add("ReduceSum", classes, self.constant([1], np.int64), keepdims=1)
            nothing = self.add("Less", share, self.constant(np.finfo(np.float32).tiny))
            divided = self.add("Div", classes, self.add("Where", nothing, one, share))
            equal = self.constant(1 / class_count)
            self.add("Where", nothing, equal, divided, output=probabilities)
            tooth = self.add("Sub", one, self.column(x, class_count))
        else:
            self.add("Identity", x, output=probabilities)
            tooth = one
        self.add("Sub", one, self.column(probabilities, normal), output=at_box)
        self.add("Mul", at_box, tooth, output=at_found)

    def slice(self, x: str, start: int, stop: int) -> str:
        """Columns of (N, columns)."""
        return self.add("Slice", x, *(self.constant([n], np.int64) for n in (start, stop, 1)))

    def column(self, x: str, number: int) -> str:
        """One column of (N, columns), as (N,)."""
        column = self.slice(x, number, number + 1)
        return self.add("Squeeze", column, self.constant([1], np.int64))

    def to_model(self, side: int, class_count: int):
        """The ONNX model, for crops of `side` pixels."""
        from onnx import TensorProto, helper

        crops = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", side, side])
        shapes = (["N", class_count], ["N"], ["N"])
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in zip(OUTPUTS, shapes, strict=True)
        ]
        graph = helper.make_graph(self.nodes, "dental_head", [crops], outputs, self.arrays)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="dental-pipeline"
        )
