"""Both ends of the chain in one process: ``luigi --module everything Everything --date 2026-01-26``."""

from __future__ import annotations

import luigi

import tasks


class Everything(luigi.WrapperTask):
    date = luigi.DateParameter()

    def requires(self) -> list[tasks.Stage]:
        return [tasks.BatchInference(self.date), tasks.ServingFeatures(self.date)]
