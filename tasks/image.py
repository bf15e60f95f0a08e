"""The model in force on a day as an image that serves it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from spark_lib.lake import Manifest
from spark_lib.use_case import loading
from tasks.config.settings import Settings
from tasks.graph.stage import Description, Stage
from tasks.graph.staleness import Candidates, Need
from tasks.selection import ModelSelection


class ModelImage(Stage):
    """Writes the documents of an image by the specification of the Open Container Initiative: its manifest, its
    configuration and the layer of the model. The other layers are the same for all models and lie in the cache of the user,
    who can make them again. The digest of the image is among the figures of the manifest.

    The image depends on the model and not on the day, so that two days with the same model have the same image. No stage
    of the chain asks for it.
    """

    dataset = "image"
    RESULT = 1
    libraries = ("numpy", "onnx", "onnxruntime", "pyarrow", "scikit-learn")
    built_from = (ModelSelection,)
    on_demand = True
    always_shown = False

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return False  # no stage of the chain asks for it

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        return [Need(ModelSelection.dataset, day, day)]

    @classmethod
    def describe(cls, manifest: Manifest) -> Description:
        return Description(manifest.metrics["image_digest"].removeprefix("sha256:")[:12])

    @classmethod
    def explain(cls, manifest: Manifest) -> list[str]:
        """Which model the image carries, and by which tag."""
        figures = manifest.metrics
        return [f"the model of {figures['model_date']}, {figures['model_digest'][:16]}", f"the tag {figures['tag']}"]

    def recorded_settings(self) -> Mapping[str, Any]:
        return {"image.base": self.settings.image.base}

    def requires(self) -> Stage:
        required: Stage = self.clone(ModelSelection)
        return required

    def run(self) -> None:
        if self.needs_no_build():
            return
        (selection,) = self.partitions.require(ModelSelection.dataset, self.date)
        with self.attempt(inputs=[selection.input]) as attempt:
            from spark_lib.stages import image

            self.progress(10, "building layers")
            name, use_case = self.settings.name_of_lake(self.lake), loading.directory(self.use_case)
            self.publish(attempt, image.build(self.partitions, selection, name, use_case, self.settings.image.base))

    def summary(self, manifest: Manifest) -> str:
        figures = manifest.metrics
        return f"image: {figures['image_digest']}, the model of {figures['model_date']}"
