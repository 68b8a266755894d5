"""Scenes of pages that fill the picture. Each gives the answer and the pixels."""
import numpy as np
from parts import Parts
from PIL import Image


class Sheets(Parts):
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
