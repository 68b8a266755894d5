"""Scenes that people photograph with a phone: things on desks, boards, screens. Each gives the answer and the pixels."""
import numpy as np
from parts import Parts
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HEIGHT, WIDTH = 1200, 900
SHAPE = (HEIGHT, WIDTH)


class Phone(Parts):
    # What only these scenes are made of.

    def _sheet(self, height=900, width=640, **how):
        label, ink = self.one(height, width, **({"low": 0.4, "high": 0.65} | how))
        return label, ink

    def _tint(self, ink, paper=(236, 234, 228), pen=(45, 45, 60)):
        return np.stack([paper[channel] * (1 - ink) + pen[channel] * ink for channel in range(3)], -1)

    def _wood(self):
        rows, columns = self.grid(SHAPE)
        along = self.smooth(SHAPE, 300, 25)
        grain = np.sin((columns + along) / self.random.uniform(5, 16)) + 0.6 * np.sin((columns + 2 * along) / 3.1)
        base = np.array([(120, 80, 50), (70, 45, 30), (165, 125, 85)][self.random.integers(3)], np.float32)
        return base * (1 + 0.1 * grain + 0.05 * self.smooth(SHAPE, 80, 1))[..., None] + self.noise(SHAPE, 3)[..., None]

    def _table(self):
        shade = self.random.uniform(25, 110)
        return (shade + self.smooth(SHAPE, 120, 4) + self.noise(SHAPE, 2))[..., None] * np.array([1.0, 0.97, 0.93])

    def _lie(self, page, desk, tilt=0.06, margin=0.1, turn=5):
        """The page on the desk, seen askew, all of it within the picture."""
        height, width = page.shape[:2]
        free = lambda: self.random.uniform(0.3, 1) * margin + self.random.uniform(0, tilt)
        angle = np.radians(self.random.uniform(-turn, turn))
        corners = []
        for x, y in [(0, 0), (0, 1), (1, 1), (1, 0)]:
            across, down = abs(x - free()) - 0.5, abs(y - free()) - 0.5
            across, down = across * np.cos(angle) - down * np.sin(angle), across * np.sin(angle) + down * np.cos(angle)
            corners.append(((across + 0.5) * WIDTH, (down + 0.5) * HEIGHT))
        rows, sides = [], []
        for (x, y), (u, v) in zip(corners, [(0, 0), (0, height), (width, height), (width, 0)]):
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            sides += [u, v]
        map_ = tuple(np.linalg.solve(np.array(rows), np.array(sides)))
        warp = lambda values: np.asarray(
            Image.fromarray(values).transform((WIDTH, HEIGHT), Image.PERSPECTIVE, map_, Image.BICUBIC), np.float32
        )
        cover = warp(np.full((height, width), 255, np.uint8)) / 255
        paper = warp(np.clip(page, 0, 255).astype(np.uint8))
        return paper * cover[..., None] + desk * (1 - cover[..., None])

    def _seen(self, pixels, light=1.0, deviation=3.0):
        light = light[..., None] if isinstance(light, np.ndarray) else light
        return pixels * light + self.noise(pixels.shape[:2], deviation)[..., None]

    def _blurred(self, pixels, radius):
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32)

    def _lamp(self, shape, dark):
        rows, columns = self.grid(shape)
        x, y = self.random.uniform(0, 1, 2)
        away = np.hypot(columns / shape[1] - x, rows / shape[0] - y)
        return dark + (1 - dark) * np.exp(-2.5 * away**2)

    def _creases(self):
        """Light on paper that was crumpled and smoothed out again: facets, each with its own slope."""
        height = sum(np.abs(self.smooth(SHAPE, scale, 1)) * scale for scale in (300, 160, 80))
        slope = sum(np.gradient(height))
        return np.clip(0.85 + self.random.uniform(0.05, 0.1) * slope / slope.std(), 0.55, 1.05).astype(np.float32)

    def _blob(self, shape, x, y, width, height, softness):
        rows, columns = self.grid(shape)
        away = np.hypot((columns / shape[1] - x) / width, (rows / shape[0] - y) / height)
        return 1 / (1 + np.exp(np.minimum((away - 1) / softness, 50)))

    def _print(self, page, text, left, top, size, ink=1.0):
        image = Image.fromarray((255 * page).astype(np.uint8))
        ImageDraw.Draw(image).text((left, top), text, fill=int(255 * ink), font=ImageFont.load_default(size))
        page[:] = np.maximum(page, np.asarray(image, np.float32) / 255)

    def _words(self, count):
        syllables = ["ba", "ne", "to", "ri", "sul", "ka", "men", "dor", "vi", "lo", "pas", "che"]
        word = lambda: "".join(self.random.choice(syllables, self.random.integers(1, 4)))
        return " ".join(word() for _ in range(count))

    def _graph(self, shape, spacing):
        return np.maximum(self.lines(shape, spacing, 1.6, 0, 0), self.lines(shape, spacing, 1.6, 90, 0))

    # One digit.

    def paper_on_wood(self):
        label, ink = self._sheet()
        return label, self._seen(self._lie(self._tint(ink), self._wood()), self.gradient(SHAPE, 0.6))

    def paper_on_table(self):
        label, ink = self._sheet()
        return label, self._seen(self._lie(self._tint(ink), self._table()), self._lamp(SHAPE, 0.5))

    def graph_paper_on_desk(self):
        label, ink = self._sheet()
        page = self._tint(self._graph(ink.shape, self.random.uniform(22, 40)) * 0.6, pen=(90, 140, 200))
        page = page * (1 - ink[..., None]) + np.array((30, 30, 90)) * ink[..., None]
        return label, self._seen(self._lie(page, self._table()), self.gradient(SHAPE, 0.7))

    def sticky_note(self):
        label, ink = self._sheet(520, 520, low=0.5, high=0.8)
        paper = [(245, 225, 90), (250, 160, 190), (150, 220, 240), (180, 240, 140), (250, 170, 70)][self.random.integers(5)]
        desk = self._wood() if self.random.integers(2) else np.full((*SHAPE, 3), 225.0) + self.smooth(SHAPE, 200, 5)[..., None]
        return label, self._seen(self._lie(self._tint(ink, paper), desk, margin=0.25, turn=15), self._lamp(SHAPE, 0.7))

    def coloured_pen(self):
        label, ink = self.one(HEIGHT, WIDTH)
        pen = [(200, 30, 40), (30, 60, 190), (20, 130, 60), (230, 120, 20), (130, 40, 150), (40, 160, 190)][self.random.integers(6)]
        return label, self._seen(self._tint(ink, pen=pen), self.gradient(SHAPE, 0.55))

    def coloured_pen_on_coloured_paper(self):
        label, ink = self.one(HEIGHT, WIDTH)
        pairs = [((250, 230, 120), (200, 50, 40)), ((190, 220, 250), (30, 60, 160)), ((250, 200, 210), (130, 40, 140)),
                 ((200, 235, 190), (20, 100, 60)), ((60, 60, 70), (240, 230, 120)), ((30, 60, 120), (235, 235, 240))]  # fmt: skip
        return label, self._seen(self._tint(ink, *pairs[self.random.integers(len(pairs))]), self.gradient(SHAPE, 0.6))

    def whiteboard(self):
        label, ink = self.one(HEIGHT, WIDTH)
        pen = [(30, 30, 40), (30, 60, 170), (190, 40, 40), (30, 120, 60)][self.random.integers(4)]
        smear = np.clip(self.smooth(SHAPE, 150, 0.05), 0, 0.12)
        pixels = self._tint(np.maximum(ink * 0.9, smear), (225, 228, 228), pen)
        x, y = self.random.uniform(0, 1, 2)
        glare = self._blob(SHAPE, x, y, self.random.uniform(0.05, 0.15), self.random.uniform(0.03, 0.3), 0.25)
        return label, self._seen(pixels, self.gradient(SHAPE, 0.75)) + 90 * glare[..., None]

    def chalk(self):
        label, ink = self.one(HEIGHT, WIDTH, pen=self.random.uniform(0.8, 1.3))
        rough = np.clip(0.85 + self.noise(SHAPE, 0.3) + self.smooth(SHAPE, 6, 0.15), 0.2, 1)
        wiped = np.clip(self.smooth(SHAPE, 200, 0.06) + self._blob(SHAPE, *self.random.uniform(0, 1, 2), 0.4, 0.1, 0.3) * 0.1, 0, 0.3)
        board = [(35, 70, 55), (40, 42, 45), (30, 50, 45)][self.random.integers(3)]
        return label, self._seen(self._tint(np.maximum(ink * rough, wiped), board, (225, 225, 220)), self._lamp(SHAPE, 0.6), 5)

    def marker(self):
        label, ink = self.one(HEIGHT, WIDTH, low=0.5, high=0.85, pen=1.9)
        return label, self._seen(self._tint(ink * np.clip(0.9 + self.smooth(SHAPE, 25, 0.08), 0, 1)), self.gradient(SHAPE, 0.6))

    def thin_pencil(self):
        label, ink = self.one(HEIGHT, WIDTH, low=0.35, pen=0.35)
        grain = np.clip(0.8 + self.noise(SHAPE, 0.2), 0, 1)
        return label, self._seen(self._tint(ink * grain, pen=(120, 120, 125)), self.gradient(SHAPE, 0.75), 4)

    def out_of_focus(self):
        label, ink = self.one(HEIGHT, WIDTH, low=0.4)
        return label, self._seen(self._blurred(self._tint(ink), self.random.uniform(4, 10)), self.gradient(SHAPE, 0.6))

    def shaken(self):
        label, ink = self.one(HEIGHT, WIDTH, low=0.4)
        pixels, angle, reach = self._tint(ink), self.random.uniform(0, np.pi), self.random.uniform(5, 14)
        steps = np.linspace(-reach, reach, 9)
        moved = [np.roll(pixels, (round(np.sin(angle) * step), round(np.cos(angle) * step)), (0, 1)) for step in steps]
        return label, self._seen(np.mean(moved, 0), self.gradient(SHAPE, 0.7))

    def low_quality(self):
        label, ink = self.one(HEIGHT // 2, WIDTH // 2)
        self.saving["options"] = {"quality": 20}
        return label, self._seen(self._tint(ink), self.gradient(ink.shape, 0.5), 6)

    def vignette(self):
        label, ink = self.one(HEIGHT, WIDTH)
        rows, columns = self.grid(SHAPE)
        away = np.hypot(columns / WIDTH - 0.5, rows / HEIGHT - 0.5)
        return label, self._seen(self._tint(ink), 1 - self.random.uniform(0.8, 1.3) * away**2)

    def lamp(self):
        label, ink = self.one(HEIGHT, WIDTH)
        return label, self._seen(self._tint(ink, (245, 220, 170), (50, 40, 40)), self._lamp(SHAPE, 0.25), 4)

    def crumpled(self):
        label, ink = self.one(HEIGHT, WIDTH)
        return label, self._seen(self._tint(ink), self._creases())

    def phone_and_hand(self):
        label, ink = self.one(HEIGHT, WIDTH)
        rows, columns = self.grid(SHAPE)
        x, y = columns / WIDTH - self.random.uniform(0.2, 0.8), rows / HEIGHT - self.random.uniform(0.2, 0.6)
        angle = self.random.uniform(-0.4, 0.4)
        x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
        phone = 1 / (1 + np.exp(np.minimum((np.maximum(np.abs(x) / 0.2, np.abs(y) / 0.3) - 1) * 25, 50)))
        hand = np.maximum.reduce([
            self._blob(SHAPE, self.random.uniform(0.2, 0.8), 0.8 + 0.07 * finger, 0.25, 0.035, 0.15) for finger in range(4)
        ])  # fmt: skip
        return label, self._seen(self._tint(ink), 1 - self.random.uniform(0.3, 0.5) * np.maximum(phone, hand))

    def margin_and_holes(self):
        label, ink = self.one(HEIGHT, WIDTH, low=0.45, high=0.7)
        pixels = self._tint(0.6 * self.lines(SHAPE, self.random.uniform(50, 80), 2.5, self.random.uniform(-2, 2)), pen=(120, 150, 200))
        red = np.clip(2.5 - np.abs(self.grid(SHAPE)[1] - 130), 0, 1)[..., None]
        pixels = pixels * (1 - 0.8 * red) + np.array((220, 60, 70)) * 0.8 * red
        pixels = pixels * (1 - ink[..., None]) + np.array((35, 40, 110)) * ink[..., None]
        for hole in range(self.random.integers(2, 5)):
            dark = self._blob(SHAPE, 0.06, 0.15 + 0.22 * hole, 22 / WIDTH, 22 / HEIGHT, 0.05)[..., None]
            pixels = pixels * (1 - dark) + 45 * dark
        return label, self._seen(pixels, self.gradient(SHAPE, 0.7))

    def printed_text(self):
        label, ink = self.one(HEIGHT, WIDTH, low=0.35, high=0.5)
        left, top, side = self.place
        size = int(self.random.integers(20, 36))
        above = top > HEIGHT - top - side
        first = 20 if above else top + side + 20
        for row in range(int(self.random.integers(1, 4))):
            self._print(ink, self._words(5), 40, first + row * int(1.5 * size), size, 0.85)
        return label, self._seen(self._tint(ink), self.gradient(SHAPE, 0.7))

    def label_beside(self):
        label, ink = self.one(HEIGHT, WIDTH, low=0.3, high=0.4)
        left, top, side = self.place
        size = side // 6
        text = self.random.choice(["Number:", "No.", "Answer", "Score", "Class"])
        self._print(ink, text, left - 5 * size if left > WIDTH // 2 else left + side + size // 2, top + side // 2, size, 0.9)
        return label, self._seen(self._tint(ink), self.gradient(SHAPE, 0.7))

    def small_in_large(self):
        label, ink = self.one(1800, 2400, low=0.1, high=0.16)
        return label, self._seen(self._tint(ink), self.gradient(ink.shape, 0.6), 4)

    def near_the_edge(self):
        label, image = self.digit()
        side = int(self.random.uniform(0.35, 0.6) * WIDTH)
        mask = self.mask(image, side, self.random.uniform(-5, 5), self.random.uniform(0.7, 1.2))
        rows, columns = np.flatnonzero(mask.max(1) > 0.2), np.flatnonzero(mask.max(0) > 0.2)
        mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        ink, gap = np.zeros(SHAPE, np.float32), self.random.integers(4, 20)
        left, top = self.random.integers(20, WIDTH - mask.shape[1] - 20), self.random.integers(20, HEIGHT - mask.shape[0] - 20)
        match self.random.integers(4):
            case 0:
                left = gap
            case 1:
                left = WIDTH - mask.shape[1] - gap
            case 2:
                top = gap
            case 3:
                top = HEIGHT - mask.shape[0] - gap
        self.put(ink, mask, left, top)
        return str(label), self._seen(self._tint(ink), self.gradient(SHAPE, 0.6))

    def twelve_megapixels(self):
        label, ink = self._sheet()
        image = Image.fromarray(np.clip(self._lie(self._tint(ink), self._wood()), 0, 255).astype(np.uint8))
        pixels = np.asarray(image.resize((3000, 4000), Image.BICUBIC), np.float32)
        return label, pixels + np.tile(self.noise((1000, 1000), 6), (4, 3))[..., None]

    def turned_by_exif(self):
        label, ink = self.one(HEIGHT, WIDTH)
        way = int(self.random.choice([3, 6, 8]))
        exif = Image.Exif()
        exif[0x0112] = way
        self.saving["options"] = {"exif": exif}
        return label, np.rot90(self._seen(self._tint(ink), self.gradient(SHAPE, 0.6)), {3: 2, 6: 1, 8: 3}[way])

    def brown_paper(self):
        label, ink = self.one(HEIGHT, WIDTH)
        fibres = self.smooth(SHAPE, 3, 4) + self.smooth(SHAPE, 12, 4) + self.smooth(SHAPE, 90, 5)
        return label, self._seen(self._tint(ink, (185, 145, 100), (40, 30, 30)) + fibres[..., None], self._lamp(SHAPE, 0.5), 5)

    def shines_through(self):
        label, ink = self.one(HEIGHT, WIDTH)
        _, behind = self.one(HEIGHT, WIDTH, low=0.4, pen=1.0)
        faint = self.random.uniform(0.1, 0.2) * self._blurred(255 * behind[:, ::-1], 5) / 255
        return label, self._seen(self._tint(np.maximum(ink, faint)), self.gradient(SHAPE, 0.6))

    def finger(self):
        label, ink = self.one(HEIGHT, WIDTH, low=0.35, high=0.55)
        left, top, side = self.place
        across = 0.03 if left > WIDTH - left - side else 0.97
        skin = self._blob(SHAPE, across, self.random.uniform(0.1, 0.9), 0.13, 0.06, 0.03)[..., None]
        shade = self._blob(SHAPE, across, self.random.uniform(0.1, 0.9), 0.2, 0.1, 0.2)
        pixels = self._tint(ink) * (1 - 0.3 * shade[..., None])
        return label, self._seen(pixels * (1 - skin) + np.array((205, 150, 120)) * skin, self.gradient(SHAPE, 0.7))

    def coffee_stain(self):
        label, ink = self.one(HEIGHT, WIDTH)
        x, y, size = *self.random.uniform(0.2, 0.8, 2), self.random.uniform(0.2, 0.35)
        outer = self._blob(SHAPE, x, y, size, size * WIDTH / HEIGHT, 0.04)
        stain = 0.25 * outer + 0.2 * outer * (1 - outer) * 4
        pixels = self._tint(stain, pen=(130, 85, 40))
        return label, self._seen(pixels * (1 - ink[..., None]) + 45 * ink[..., None], self.gradient(SHAPE, 0.7))

    def screen(self):
        label, ink = self.one(HEIGHT, WIDTH)
        light = self.random.integers(2)
        pixels = self._tint(ink, *(((240, 244, 250), (20, 20, 25)) if light else ((25, 26, 30), (235, 238, 245))))
        rows, columns = self.grid(SHAPE)
        moire = 1 + 0.04 * np.sin(rows / self.random.uniform(3, 9) + columns / 40) * np.sin(columns / self.random.uniform(3, 9))
        return label, self._seen(pixels, moire * self.gradient(SHAPE, 0.8))

    def dashed_box(self):
        label, ink = self.one(HEIGHT, WIDTH, low=0.3, high=0.5)
        left, top, side = self.place
        frame = np.zeros(SHAPE, np.float32)
        self.frame(frame, left - 10, top - 10, side + 20, side + 20, 4)
        rows, columns = self.grid(SHAPE)
        return label, self._seen(self._tint(np.maximum(ink, frame * ((rows + columns) % 30 < 18))), self.gradient(SHAPE, 0.7))

    # Several digits.

    def two_on_wood(self):
        text, ink = self.several(2, 600, 640, 270)
        return text, self._seen(self._lie(self._tint(ink), self._wood(), turn=3), self.gradient(SHAPE, 0.6))

    def three_on_whiteboard(self):
        text, ink = self.several(3, HEIGHT, WIDTH, 280)
        return text, self._seen(self._tint(ink * 0.9, (225, 228, 228), (40, 60, 150)), self._lamp(SHAPE, 0.6))

    def four_on_graph_paper(self):
        text, ink = self.several(4, 600, 900, 210)
        page = self._tint(self._graph(ink.shape, 30) * 0.5, pen=(110, 150, 200))
        return text, self._seen(page * (1 - ink[..., None]) + 40 * ink[..., None], self.gradient(ink.shape, 0.7))

    def two_in_rows(self):
        first, upper = self.several(1, HEIGHT // 2, WIDTH, 300)
        second, lower = self.several(1, HEIGHT // 2, WIDTH, 300)
        return first + second, self._seen(self._tint(np.concatenate([upper, lower])), self.gradient(SHAPE, 0.6))

    # No digit.

    def blank_paper_on_desk(self):
        desk = self._wood() if self.random.integers(2) else self._table()
        return "none", self._seen(self._lie(self._tint(np.zeros((900, 640), np.float32)), desk), self._lamp(SHAPE, 0.6))

    def blank_graph_paper(self):
        page = self._tint(self._graph((900, 640), self.random.uniform(22, 40)) * 0.6, pen=(90, 140, 200))
        return "none", self._seen(self._lie(page, self._table()), self.gradient(SHAPE, 0.7))

    def blank_whiteboard(self):
        smear = np.clip(self.smooth(SHAPE, 150, 0.06), 0, 0.15)
        glare = self._blob(SHAPE, *self.random.uniform(0, 1, 2), 0.12, 0.2, 0.25)
        return "none", self._seen(self._tint(smear, (225, 228, 228)), self.gradient(SHAPE, 0.7)) + 90 * glare[..., None]

    def blank_crumpled(self):
        return "none", self._seen(self._tint(np.zeros(SHAPE, np.float32)), self._creases())

    def blank_carpet(self):
        fibres = self.smooth(SHAPE, 4, 18) + self.smooth(SHAPE, 15, 10) + self.smooth(SHAPE, 200, 8)
        return "none", self._seen(np.array((120, 110, 130)) + fibres[..., None], self._lamp(SHAPE, 0.6), 8)

    def blank_bricks(self):
        rows, columns = self.grid(SHAPE)
        course = rows // 90
        joint = np.minimum(rows % 90, (columns + 75 * (course % 2)) % 150) < 9
        shade = self.random.normal(0, 12, (32, 32))[(course % 32).astype(int), ((columns + 75 * (course % 2)) // 150 % 32).astype(int)]
        wall = np.array((150, 80, 60)) + shade[..., None] + self.smooth(SHAPE, 6, 6)[..., None]
        return "none", self._seen(np.where(joint[..., None], 190.0, wall), self.gradient(SHAPE, 0.6), 6)

    def blank_leaves(self):
        hills = self.smooth(SHAPE, 50, 1)
        return "none", self._seen(np.array((70, 120, 50)) + 35 * np.sin(3 * hills)[..., None] + self.smooth(SHAPE, 9, 8)[..., None])
