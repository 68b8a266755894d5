"""What scenes are made of: digits, pages, light, lines, paper."""
import gzip

import numpy as np
from PIL import Image, ImageFilter


class Parts:
    def __init__(self, mnist):
        self.random = np.random.default_rng(0)
        # How the next picture is saved, where that matters.
        self.saving = {}
        images = gzip.open(mnist / "train-images-idx3-ubyte.gz").read()[16:]
        labels = gzip.open(mnist / "train-labels-idx1-ubyte.gz").read()[8:]
        self.images = np.frombuffer(images, np.uint8).reshape(-1, 28, 28)[50_000:]
        self.labels = np.frombuffer(labels, np.uint8)[50_000:]

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
