"""Sample data for ``product_category``: landed days of products with made-up names, and the truth behind them. It needs
no Spark.

Every product is drawn by a generator of its own, from the seed, the day and its place in the day. So any day can be
written on its own, in chunks and without the days before it.

The texts are made as difficult as those of sellers: names in capitals and without accents, names that say nothing of
the category, missing descriptions, quotes, separators and line breaks, a few products in a wrong category, and some
whose category is not known.
"""

from __future__ import annotations

import csv
import io
import random
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from spark_lib.lake.feeds import samples
from spark_lib.lake.feeds.samples import ORIGIN, Directory

#: What the rows of the scored feed are called.
ROWS = "products"
#: Raise this number when the same arguments give other rows.
VERSION = 1
#: The rows of a part file, which bounds memory.
CHUNK = 50_000
COLUMNS = ("id_produto", "nome", "descricao", "categoria", "cadastro")
TRUTH = pa.schema([("id_produto", pa.string()), ("categoria", pa.string())])

NO_DESCRIPTION, NO_CATEGORY, WRONG_CATEGORY, VAGUE_NAME, IN_CAPITALS = 0.25, 0.03, 0.01, 0.1, 0.2

#: For each category what its products are, what is said of them, and the lines of a fact sheet.
_TEXTS = {
    "brinquedo": (
        ("Boneca Articulável", "Quebra-cabeça", "Carrinho de Fricção", "Pelúcia", "Blocos de Montar", "Pião"),
        (
            "diversão para crianças de todas as idades",
            "estimula a imaginação e a coordenação",
            "não contém peças cortantes",
        ),
        ("Idade recomendada: 3 anos", "Peças: 48", "Pilhas: não inclusas"),
    ),
    "game": (
        ("Controle sem Fio", "Jogo de Corrida", "Console Portátil", "Memory Card", "Jogo de Ação", "Volante"),
        ("gráficos em alta definição", "modo online para até oito jogadores", "mídia física, lacrada, região livre"),
        ("Plataforma: console", "Gênero: aventura", "Conexão: USB"),
    ),
    "livro": (
        ("Romance", "Dicionário Ilustrado", "Coletânea de Contos", "História em Quadrinhos", "Biografia", "Poesias"),
        (
            "uma narrativa sobre memória e solidão",
            "edição revista, com notas do tradutor",
            "o autor volta às suas origens",
        ),
        ("Páginas: 312", "Acabamento: brochura", "Idioma: português"),
    ),
    "maquiagem": (
        ("Batom Líquido", "Máscara de Cílios", "Pó Compacto", "Paleta de Sombras", "Base Matte", "Delineador"),
        ("longa duração, à prova d'água", "realça o olhar com um acabamento aveludado", "pele uniforme e hidratada"),
        ("Cor: nude", "Tipo de pele: mista", "Conteúdo: 10 ml"),
    ),
}
_VAGUE = ("Kit", "Edição Especial", "Coleção", "Promoção")
_SYLLABLES = ("ba", "çu", "dé", "lo", "mi", "nã", "ri", "sô", "tu", "ve", "xa", "zi")
_INCHES = ('7"', '10"', '12"')


def write(
    raw_dir_for: Callable[[str, date], str | Path],
    truth_dir: str | Path,
    first: date,
    days: int,
    rows_per_day: int,
    seed: int,
    on_day: Callable[[date], None] | None = None,
) -> None:
    """Land ``days`` days of ``products`` from ``first`` on: CSV files with semicolons in ``raw_dir_for(feed, day)``, then
    the day's flag. A day has exactly ``rows_per_day`` products; a day without products has no file.
    ``truth_dir/date=<day>/part-*.parquet`` holds ``id_produto, categoria``, the category that each product really has.

    The rows of a day depend on ``seed``, ``rows_per_day`` and the day only. What is skipped, refused and raised is said
    by ``samples.write``.
    """

    def write_products(day: date, to: Directory) -> None:
        truth = Directory(f"{truth_dir}/date={day}")
        for part, start in enumerate(range(0, rows_per_day, CHUNK)):
            chunk = list(products(seed, day, rows_per_day, range(start, min(start + CHUNK, rows_per_day))))
            known = [{"id_produto": product.id, "categoria": product.truth} for product in chunk]
            truth.write_table(f"part-{part}.parquet", pa.Table.from_pylist(known, TRUTH))
            to.write(f"part-{part:05}.csv", _document(chunk))

    samples.write(
        {"products": write_products}, raw_dir_for, truth_dir, VERSION, first, days, rows_per_day, seed, on_day
    )


@dataclass(frozen=True)
class Product:
    """A product as it lands, and the category that it really has."""

    id: str
    name: str
    description: str | None
    category: str | None
    day: date
    truth: str


def products(seed: int, day: date, rows_per_day: int, places: range) -> Iterator[Product]:
    """The products at those places of a day."""
    first = (day - ORIGIN).days * rows_per_day
    for place in places:
        draw = random.Random(f"{VERSION} {seed} {day} {place}")  # noqa: S311  (no secret is drawn)
        truth = draw.choice(list(_TEXTS))
        named = _name(draw, truth)
        described = None if draw.random() < NO_DESCRIPTION else _description(draw, truth)
        landed: str | None = truth
        if draw.random() < WRONG_CATEGORY:
            landed = draw.choice(list(_TEXTS))
        if draw.random() < NO_CATEGORY:
            landed = None
        yield Product(f"P{first + place:012}", named, described, landed, day, truth)


def _name(draw: random.Random, category: str) -> str:
    kind = draw.choice(_VAGUE if draw.random() < VAGUE_NAME else _TEXTS[category][0])
    brand = "".join(draw.choices(_SYLLABLES, k=3)).capitalize()
    name = f"{kind} {brand}"
    if draw.random() < 0.1:
        name += f" {draw.choice(_INCHES)}"
    if draw.random() < IN_CAPITALS:
        name = _without_accents(name).upper()
    return name


def _description(draw: random.Random, category: str) -> str:
    _, said, facts = _TEXTS[category]
    sentences = draw.sample(said, k=draw.randint(1, 2))
    text = f"Produto novo; {', '.join(sentences)}."
    if draw.random() < 0.2:
        text += f' Quem comprou disse: "{draw.choice(("ótimo", "chegou rápido", "recomendo"))}".'
    if draw.random() < 0.5:
        text += "\n".join(("", "Características:", *draw.sample(facts, k=2)))
    return text


def _without_accents(text: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))


def _document(chunk: list[Product]) -> Callable[[BinaryIO], None]:
    """Writes products as CSV. Nothing stands where a text is null."""
    text = io.StringIO()
    lines = csv.writer(text, delimiter=";", lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows((row.id, row.name, row.description, row.category, row.day) for row in chunk)
    body = text.getvalue().encode()

    def write_to(file: BinaryIO) -> None:
        file.write(body)

    return write_to
