"""Makes photographs of handwritten digits, and counts what `ffcl-gpu predict` makes of them.

    pip install numpy pillow
    tests/photographs.py make MNIST_DIR FOLDER [SEED]
    tests/photographs.py count PROGRAM MODEL FOLDER [OPTION…]

The digits are among the last 10,000 training images of MNIST: train the model on fewer than 50,000. Each scene is a folder; a file's name
begins with the digits that it shows, from left to right, or with `none`.
"""
import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

PER_SCENE = 60


class Scenes:
    def __init__(self, mnist, seed):
        self.random = np.random.default_rng(seed)
        images = gzip.open(mnist / "train-images-idx3-ubyte.gz").read()[16:]
        labels = gzip.open(mnist / "train-labels-idx1-ubyte.gz").read()[8:]
        self.images = np.frombuffer(images, np.uint8).reshape(-1, 28, 28)[50_000:]
        self.labels = np.frombuffer(labels, np.uint8)[50_000:]

    # Parts of scenes.

    def digit(self, label=None):
        label = self.random.integers(10) if label is None else label
        return label, self.images[self.random.choice(np.flatnonzero(self.labels == label))]

    def mask(self, image, side, turn=0, pen=1.0):
        """A digit `side` pixels large, its stroke made thinner (pen below 1) or thicker."""
        large = Image.fromarray(image).resize((side, side), Image.BICUBIC).filter(ImageFilter.GaussianBlur(side / 90))
        values = np.asarray(large.rotate(turn, Image.BICUBIC), np.float32) / 255
        level = {True: 0.5 + 0.42 * (1 - pen), False: 0.5 / pen}[pen < 1]
        return np.clip((values - level) * side / 28 / 2 + 0.5, 0, 1)

    def put(self, page, mask, left, top):
        height, width = mask.shape
        part = page[top : top + height, left : left + width]
        np.maximum(part, mask[: part.shape[0], : part.shape[1]], out=part)

    def one(self, height=800, width=600, low=0.4, high=0.75, turn=8, pen=None):
        """A page of ink with one digit somewhere."""
        label, image = self.digit()
        side = int(self.random.uniform(low, high) * min(height, width))
        pen = self.random.uniform(0.6, 1.3) if pen is None else pen
        page = np.zeros((height, width), np.float32)
        mask = self.mask(image, side, self.random.uniform(-turn, turn), pen)
        left, top = self.random.integers(0, width - side + 1), self.random.integers(0, height - side + 1)
        self.put(page, mask, left, top)
        self.place = (left, top, side)
        return str(label), page

    def several(self, count, height, width, side, comma=False):
        page, text = np.zeros((height, width), np.float32), ""
        step = width // count
        for index in range(count):
            label, image = self.digit()
            own = int(side * self.random.uniform(0.8, 1.1))
            left = index * step + max(0, (step - own) // 2) + self.random.integers(-step // 30, step // 30 + 1)
            top = (height - own) // 2 + self.random.integers(-height // 15, height // 15 + 1)
            self.put(page, self.mask(image, own, 0, self.random.uniform(0.7, 1.2)), max(0, left), max(0, top))
            text += str(label)
        if comma:
            tail = self.mask(self.images[np.flatnonzero(self.labels == 1)[0]], side // 4)
            self.put(page, tail, step - side // 8, height // 2 + side // 4)
        return text, page

    def grid(self, shape):
        return np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)

    def smooth(self, shape, scale, strength):
        """Random hills, `scale` pixels wide."""
        small = self.random.normal(0, 1, (max(2, shape[0] // scale + 2), max(2, shape[1] // scale + 2))).astype(np.float32)
        return strength * np.asarray(Image.fromarray(small).resize((shape[1], shape[0]), Image.BICUBIC))

    def noise(self, shape, deviation):
        return self.random.normal(0, deviation, shape).astype(np.float32)

    def gradient(self, shape, dark):
        """Light from 1 down to `dark`, in any direction."""
        rows, columns = self.grid(shape)
        angle = self.random.uniform(0, 2 * np.pi)
        along = np.cos(angle) * columns / shape[1] + np.sin(angle) * rows / shape[0]
        along = (along - along.min()) / (along.max() - along.min())
        return 1 - (1 - dark) * along

    def cast(self, shape, dark, softness):
        """The shadow of something with an edge that is curved and more or less sharp."""
        rows, columns = self.grid(shape)
        angle, bend = self.random.uniform(0, 2 * np.pi), self.random.uniform(-0.5, 0.5)
        x, y = columns / shape[1] - 0.5, rows / shape[0] - 0.5
        across = np.cos(angle) * x + np.sin(angle) * y + bend * (np.sin(angle) * x - np.cos(angle) * y) ** 2 + self.random.uniform(-0.2, 0.2)
        return 1 - (1 - dark) / (1 + np.exp(-across * 60 / softness))

    def lines(self, shape, spacing, thickness, angle=0.0, phase=None):
        """Parallel lines, as coverage from 0 to 1; `angle` in degrees."""
        rows, columns = self.grid(shape)
        along = rows * np.cos(np.radians(angle)) + columns * np.sin(np.radians(angle)) + (self.random.uniform(0, spacing) if phase is None else phase)
        distance = np.abs(along % spacing - spacing / 2)
        return np.clip(thickness / 2 + 0.5 - distance, 0, 1)

    def frame(self, page, left, top, width, height, thickness):
        left, top = max(0, left), max(0, top)
        page[top : top + thickness, left : left + width] = 1
        page[top + height - thickness : top + height, left : left + width] = 1
        page[top : top + height, left : left + thickness] = 1
        page[top : top + height, left + width - thickness : left + width] = 1

    def desk(self, shape, dark):
        """Paper that ends: a multiplier that is dark beyond a slanted edge or two."""
        rows, columns = self.grid(shape)
        result = np.ones(shape, np.float32)
        for side in self.random.choice(4, self.random.integers(1, 3), replace=False):
            depth, slope = self.random.uniform(0.02, 0.09), self.random.uniform(-0.06, 0.06)
            x, y = columns / shape[1], rows / shape[0]
            away, along = [(x, y), (1 - x, y), (y, x), (1 - y, x)][side]
            result[away < depth + slope * (along - 0.5)] = dark
        return result

    def photo(self, ink, paper=235, pen=50, light=None, deviation=2.0):
        light = np.ones_like(ink) if light is None else light
        return (paper * (1 - ink) + pen * ink) * light + self.noise(ink.shape, deviation)

    def colours(self, ink, paper, pen):
        return np.stack([self.photo(ink, one, other) for one, other in zip(paper, pen)], -1)

    def perspective(self, pixels, strength=0.12):
        height, width = pixels.shape[:2]
        corner = lambda x, y: (x * width + self.random.uniform(-1, 1) * strength * width, y * height + self.random.uniform(-1, 1) * strength * height)
        corners = [corner(0, 0), corner(0, 1), corner(1, 1), corner(1, 0)]
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        fill = int(np.median(pixels))
        quad = [value for point in corners for value in point]
        return np.asarray(image.transform((width, height), Image.QUAD, quad, Image.BICUBIC, fillcolor=fill), np.float32)

    # Scenes: each gives the answer and the pixels.

    def clean(self):
        label, ink = self.one(turn=0, pen=1.0)
        return label, self.photo(ink, 245, 40, deviation=0)

    def shadow(self):
        label, ink = self.one()
        return label, self.photo(ink, self.random.uniform(200, 240), 40, self.gradient(ink.shape, self.random.uniform(0.25, 0.5)))

    def cast_shadow(self):
        label, ink = self.one()
        light = self.cast(ink.shape, self.random.uniform(0.4, 0.7), self.random.choice([0.2, 1, 5]))
        return label, self.photo(ink, 225, 40, light, 3)

    def two_shadows(self):
        label, ink = self.one()
        light = self.cast(ink.shape, 0.65, 1) * self.cast(ink.shape, 0.75, 3) * self.gradient(ink.shape, 0.7)
        return label, self.photo(ink, 235, 45, light, 3)

    def crumbs(self):
        label, ink = self.one(low=0.4)
        for _ in range(self.random.integers(3, 25)):
            size = self.random.integers(2, 11)
            top, left = self.random.integers(0, 800 - size), self.random.integers(0, 600 - size)
            ink[top : top + size, left : left + self.random.integers(2, 11)] = self.random.uniform(0.5, 1)
        return label, self.photo(ink)

    def ruled(self):
        label, ink = self.one()
        lines = self.lines(ink.shape, self.random.uniform(35, 110), self.random.uniform(1.5, 4), self.random.uniform(-4, 4))
        return label, self.photo(np.maximum(ink, lines * self.random.uniform(0.3, 1)))

    def squared(self):
        label, ink = self.one(low=0.5)
        spacing, angle, thickness = self.random.uniform(30, 70), self.random.uniform(-3, 3), self.random.uniform(1.5, 3)
        lines = np.maximum(self.lines(ink.shape, spacing, thickness, angle), self.lines(ink.shape, spacing, thickness, 90 + angle))
        return label, self.photo(np.maximum(ink, lines * self.random.uniform(0.25, 0.7)))

    def box(self):
        label, ink = self.one(low=0.3, high=0.6)
        left, top, side = self.place
        gap = self.random.integers(-side // 12, side // 8)
        self.frame(ink, left - gap, top - gap, side + 2 * gap, side + 2 * gap, self.random.integers(3, 9))
        return label, self.photo(ink)

    def desk_edge(self):
        label, ink = self.one(low=0.35, high=0.6)
        return label, self.photo(ink, light=self.desk(ink.shape, self.random.uniform(0.1, 0.4)))

    def paper_on_desk(self):
        label, page = self.one(500, 400, turn=0)
        ink = np.zeros((800, 600), np.float32)
        left, top = self.random.integers(40, 160), self.random.integers(60, 240)
        paper = np.full(ink.shape, self.random.uniform(60, 110), np.float32) + self.smooth(ink.shape, 40, 4)
        paper[top : top + 500, left : left + 400] = 230
        ink[top : top + 500, left : left + 400] = page
        turned = Image.fromarray((paper * (1 - ink) + 40 * ink).astype(np.float32)).rotate(self.random.uniform(-8, 8), Image.BICUBIC, fillcolor=80)
        return label, np.asarray(turned) + self.noise(ink.shape, 3)

    def pencil(self):
        label, ink = self.one(pen=self.random.uniform(0.7, 1.1))
        return label, self.photo(ink, 225, self.random.uniform(150, 180), self.gradient(ink.shape, 0.8), self.random.uniform(4, 9))

    def board(self):
        label, ink = self.one()
        smudges = self.smooth(ink.shape, 150, 10)
        return label, 50 + smudges + 160 * ink + self.noise(ink.shape, 5)

    def coloured(self):
        label, ink = self.one()
        pairs = [((250, 225, 90), (160, 20, 40)), ((170, 210, 250), (20, 40, 140)), ((250, 180, 190), (90, 20, 90)),
                 ((180, 230, 170), (30, 60, 30)), ((200, 160, 110), (60, 30, 20))]  # fmt: skip
        return label, self.colours(ink, *pairs[self.random.integers(len(pairs))])

    def thin_pen(self):
        label, ink = self.one(low=0.4, pen=0.3)
        return label, self.photo(ink)

    def thick_pen(self):
        label, ink = self.one(pen=1.7)
        return label, self.photo(ink)

    def slanted_view(self):
        label, ink = self.one(low=0.4, high=0.6)
        return label, self.perspective(self.photo(ink, light=self.gradient(ink.shape, 0.6)))

    def slanted_ruled(self):
        label, ink = self.one(low=0.4, high=0.6)
        lines = self.lines(ink.shape, self.random.uniform(40, 80), 2.5)
        return label, self.perspective(self.photo(np.maximum(ink, 0.5 * lines)), 0.08)

    def thumbnail(self):
        label, ink = self.one()
        small = Image.fromarray(self.photo(ink, light=self.gradient(ink.shape, 0.6))).resize((90, 120), Image.BOX)
        return label, np.asarray(small)

    def large(self):
        label, ink = self.one(2000, 1500, low=0.2, high=0.5)
        return label, self.photo(ink, light=self.gradient(ink.shape, 0.5), deviation=5)

    def far(self):
        label, ink = self.one(1000, 1400, low=0.1, high=0.16)
        return label, self.photo(ink, deviation=4)

    def two(self):
        text, ink = self.several(2, 500, 700, 300)
        return text, self.photo(ink)

    def three_in_shadow(self):
        text, ink = self.several(3, 500, 1000, 300)
        return text, self.photo(ink, light=self.gradient(ink.shape, 0.45))

    def comma(self):
        text, ink = self.several(2, 500, 700, 280, comma=True)
        return text, self.photo(ink)

    def four_in_boxes(self):
        text, ink = self.several(4, 400, 1200, 200)
        for index in range(4):
            self.frame(ink, index * 300 + 20, 50, 262, 300, 4)
        return text, self.photo(ink)

    def two_on_ruled(self):
        text, ink = self.several(2, 500, 700, 300)
        return text, self.photo(np.maximum(ink, 0.6 * self.lines(ink.shape, 60, 2, self.random.uniform(-2, 2))))

    def blank_noise(self):
        shape = (900, 1200) if self.random.integers(2) else (300, 400)
        return "none", 128 + self.noise(shape, self.random.uniform(4, 40))

    def blank_soft_noise(self):
        shape = (600, 800)
        return "none", 150 + self.smooth(shape, int(self.random.integers(2, 60)), self.random.uniform(3, 20)) + self.noise(shape, 2)

    def blank_paper(self):
        shape = (600, 800)
        return "none", self.photo(np.zeros(shape, np.float32), 220, 0, self.gradient(shape, 0.5) * self.cast(shape, 0.7, 2), self.random.uniform(0.5, 6))

    def blank_ruled(self):
        shape = (600, 800)
        lines = self.lines(shape, self.random.uniform(30, 90), 2.5, self.random.uniform(-4, 4))
        if self.random.integers(2):
            lines = np.maximum(lines, self.lines(shape, 60, 2, 90))
        return "none", self.photo(lines * self.random.uniform(0.3, 1))

    def blank_wood(self):
        shape = (600, 800)
        streaks = np.asarray(Image.fromarray(self.noise((60, 800 // 200 + 2), 1)).resize((800, 600), Image.BICUBIC))
        rows, columns = self.grid(shape)
        rings = np.sin(rows / self.random.uniform(4, 15) + 2 * streaks + self.smooth(shape, 200, 2))
        return "none", 150 + 15 * rings + 10 * streaks + self.noise(shape, 4)

    def blank_cloth(self):
        shape = (600, 800)
        rows, columns = self.grid(shape)
        period = self.random.uniform(5, 40)
        weave = np.sin(2 * np.pi * rows / period) * np.sin(2 * np.pi * columns / period)
        return "none", 140 + 25 * weave + self.smooth(shape, 60, 6) + self.noise(shape, 6)

    def blank_crumbs(self):
        ink = np.zeros((600, 800), np.float32)
        for _ in range(self.random.integers(1, 40)):
            size = self.random.integers(2, 7)
            top, left = self.random.integers(0, 590), self.random.integers(0, 790)
            ink[top : top + size, left : left + size] = self.random.uniform(0.4, 1)
        return "none", self.photo(ink, deviation=3)

    def blank_desk(self):
        shape = (600, 800)
        return "none", self.photo(np.zeros(shape, np.float32), light=self.desk(shape, 0.3), deviation=3)


def make(mnist, folder, seed):
    maker = Scenes(mnist, seed)
    methods = list(Scenes.__dict__)
    for name in methods[methods.index("clean") : methods.index("blank_desk") + 1]:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(PER_SCENE):
            text, pixels = getattr(maker, name)()
            image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            image.save(folder / name / f"{text}_{index:02}.jpg", quality=int(maker.random.integers(50, 95)))


def count(program, model, folder, options):
    for scene in sorted(path for path in folder.iterdir() if path.is_dir()):
        command = [program, "predict", model, scene, "--json", *options]
        lines = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.splitlines()
        answers = {path.name: [] for path in scene.iterdir()}
        for line in map(json.loads, lines):
            answers[Path(line["file"]).name] += [digit["label"] for digit in line["digits"]]
        right = sum("".join(answer) == name.split("_")[0].replace("none", "") for name, answer in answers.items())
        print(f"{scene.name:<20}{right:>4} of {len(answers)}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", mnist, folder, *seed]:
            make(Path(mnist), Path(folder), int(*seed or [0]))
        case ["count", program, model, folder, *options]:
            count(program, model, Path(folder), options)
        case _:
            sys.exit(__doc__)
