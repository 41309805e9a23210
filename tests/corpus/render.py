#!/usr/bin/env python3
"""Samples with exact ground truth for the real models of tests/corpus/packages.txt, made here and now: no download, no dataset.

    tests/corpus/render.py direction DIR --count 1500 --seed 1     crops of text lines, upright or upside down        → PP-OCR direction classifier
    tests/corpus/render.py scenes DIR …                            pictures with words in known boxes                 → PP-OCR text detector
    tests/corpus/render.py lines DIR …                             one line of text each                              → PP-OCR recognition
    tests/corpus/render.py faces DIR --size 128 --nhwc --range -1 1     faces as a child paints them                  → BlazeFace
    tests/corpus/render.py rooms DIR --size 320 --nhwc --alpha --range 0 255    straight edges                        → M-LSD
    tests/corpus/render.py tiles DIR --size 640                    red, green, blue and white tiles on dark ground → yolo of forge-nets
    tests/corpus/render.py voice DIR …                             noise, tones and voice-like sounds                 → Silero VAD

Each sample is NAME.npy, float32, as the model takes it; truth.json says what is in it, labels.json (what `muster eval` reads) the label if it has one. The same seed gives the same bytes.
Needs python3-pil, python3-numpy and fonts-dejavu-core.
"""
import argparse
import json
import pathlib
import random
import string

import numpy
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = pathlib.Path("/usr/share/fonts/truetype/dejavu")
FACES = ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSerif.ttf",
         "DejaVuSerif-Bold.ttf"]


def font(rng, size):
    return ImageFont.truetype(str(FONTS / rng.choice(FACES)), size)


def words(rng, low, high):
    kinds = [string.ascii_lowercase, string.ascii_uppercase, string.digits, string.ascii_letters + string.digits]
    text = ""
    length = rng.randint(low, high)
    while len(text) < length:
        text += "".join(rng.choice(kinds[rng.randrange(4)]) for _ in range(rng.randint(2, 7))) + " "
    return text.strip()[:length].strip() or "a7"


def colours(rng):
    dark = tuple(rng.randint(0, 110) for _ in range(3))
    light = tuple(rng.randint(140, 255) for _ in range(3))
    return (dark, light) if rng.random() < 0.5 else (light, dark)


def degrade(picture, rng, blur, noise, gain):
    """As a camera does: out of focus, dark, grainy."""
    if blur:
        picture = picture.filter(ImageFilter.GaussianBlur(blur))
    pixels = numpy.asarray(picture, dtype=numpy.float32) * gain
    grain = numpy.random.default_rng(rng.getrandbits(32)).normal(0, noise, pixels.shape)
    return Image.fromarray(numpy.clip(pixels + grain, 0, 255).astype(numpy.uint8))


def line_of_text(rng, text, height, low=0.6, high=0.95):
    """The text on its background, cut close, `height` pixels high."""
    ink, paper = colours(rng)
    face = font(rng, int(height * rng.uniform(low, high) * 0.9))
    left, top, right, bottom = face.getbbox(text)
    picture = Image.new("RGB", (right - left + rng.randint(4, 16), height), paper)
    y = (height - (bottom - top)) // 2 - top + rng.randint(-2, 2)
    ImageDraw.Draw(picture).text((rng.randint(2, 6) - left, y), text, font=face, fill=ink)
    return picture.rotate(rng.uniform(-3, 3), resample=Image.BILINEAR, fillcolor=paper)


def fit_line(picture, width, height):
    """PP-OCR's way: as high as wanted, as wide as it is, the rest zeros; (x / 255 - 0.5) / 0.5; blue first."""
    wide = min(width, max(1, round(picture.width * height / picture.height)))
    picture = picture.resize((wide, height), Image.BILINEAR)
    pixels = numpy.asarray(picture, dtype=numpy.float32)[:, :, ::-1].transpose(2, 0, 1)
    out = numpy.zeros((1, 3, height, width), numpy.float32)
    out[0, :, :, :wide] = (pixels / 255 - 0.5) / 0.5
    return out


def direction(rng, args):
    upside_down = rng.random() < 0.5
    picture = line_of_text(rng, words(rng, 3, 9), 48)
    blur, noise, gain = rng.uniform(0, 1.8), rng.uniform(0, 20), rng.uniform(0.6, 1.0)
    picture = degrade(picture, rng, (blur**2 + args.blur**2) ** 0.5, (noise**2 + args.noise**2) ** 0.5, gain * args.gain)
    if upside_down:
        picture = picture.transpose(Image.ROTATE_180)
    return picture if args.png else fit_line(picture, 192, 48), {"label": "180" if upside_down else "0"}


def lines(rng, args):
    text = words(rng, 4, 14)
    picture = degrade(line_of_text(rng, text, 48), rng, rng.uniform(0, 0.8), rng.uniform(0, 8), rng.uniform(0.7, 1.0))
    return fit_line(picture, args.width or 320, 48), {"text": text}


def overlaps(box, others):
    x0, y0, x1, y1 = box
    return any(x0 < b[2] + 8 and b[0] - 8 < x1 and y0 < b[3] + 6 and b[1] - 6 < y1 for b in others)


def scenes(rng, args):
    size = args.size or 256
    ink, paper = colours(rng)
    picture = Image.new("RGB", (size, size), paper)
    draw = ImageDraw.Draw(picture)
    boxes = []
    for _ in range(rng.randint(1, 7)):
        text, face = words(rng, 3, 10), font(rng, rng.randint(14, 30))
        left, top, right, bottom = face.getbbox(text)
        if right - left > size - 16:
            continue
        x, y = rng.randint(6, size - (right - left) - 6), rng.randint(6, size - (bottom - top) - 6)
        box = [x, y, x + right - left, y + bottom - top]
        if not overlaps(box, boxes):
            draw.text((x - left, y - top), text, font=face, fill=ink)
            boxes.append(box)
    picture = degrade(picture, rng, rng.uniform(0, 0.8), rng.uniform(0, 10), rng.uniform(0.6, 1.0))
    pixels = numpy.asarray(picture, dtype=numpy.float32)[:, :, ::-1] / 255
    pixels = (pixels - numpy.array([0.485, 0.456, 0.406], numpy.float32)) / numpy.array([0.229, 0.224, 0.225], numpy.float32)
    return pixels.transpose(2, 0, 1)[None], {"boxes": boxes}


def shade(picture, rng):
    """Light from one side."""
    pixels = numpy.asarray(picture, dtype=numpy.float32)
    y, x = numpy.mgrid[0 : picture.height, 0 : picture.width] / max(picture.size) - 0.5
    angle = rng.uniform(0, 2 * numpy.pi)
    light = 1 + rng.uniform(0.1, 0.6) * (x * numpy.cos(angle) + y * numpy.sin(angle))
    return Image.fromarray(numpy.clip(pixels * light[:, :, None], 0, 255).astype(numpy.uint8))


def draw_face(draw, rng, cx, cy, r):
    """A face as a child paints it: enough for a face detector."""
    tone = rng.uniform(0.45, 1.0)
    skin = tuple(int(c * tone) for c in (240, 200, 170))
    dark = tuple(int(c * 0.35) for c in skin)
    hair = tuple(rng.randint(10, 90) for _ in range(3))
    oval = lambda x, y, a, b, fill: draw.ellipse([cx + (x - a) * r, cy + (y - b) * r, cx + (x + a) * r, cy + (y + b) * r], fill=fill)
    oval(0, -0.25, 0.92, 1.1, hair)
    oval(0, 0.05, 0.78, 1.0, skin)
    tilt = rng.uniform(-0.05, 0.05)
    for side in (-1, 1):
        ex, ey = 0.32 * side + tilt, -0.12
        oval(ex, ey - 0.02, 0.19, 0.12, tuple(int(c * 0.75) for c in skin))
        oval(ex, ey, 0.15, 0.08, (245, 245, 245))
        oval(ex + rng.uniform(-0.03, 0.03), ey, 0.07, 0.08, (30, 20, 20))
        draw.line([cx + (ex - 0.2) * r, cy - 0.3 * r, cx + (ex + 0.2) * r, cy - 0.33 * r], fill=dark, width=max(1, int(0.06 * r)))
    draw.line([cx + tilt * r, cy - 0.1 * r, cx + (tilt - 0.07) * r, cy + 0.27 * r], fill=tuple(int(c * 0.7) for c in skin), width=max(1, int(0.05 * r)))
    oval(tilt, 0.28, 0.14, 0.06, tuple(int(c * 0.6) for c in skin))
    oval(tilt, 0.52, 0.28, 0.09, (150, 60, 60))
    draw.line([cx + (tilt - 0.26) * r, cy + 0.52 * r, cx + (tilt + 0.26) * r, cy + 0.52 * r], fill=(70, 20, 20), width=max(1, int(0.03 * r)))


def finish(picture, args):
    pixels = numpy.asarray(picture, dtype=numpy.float32) / 255
    low, high = args.range
    pixels = low + pixels * (high - low)
    if args.alpha:
        pixels = numpy.concatenate([pixels, numpy.ones((*pixels.shape[:2], 1), numpy.float32)], 2)
    return (pixels[None] if args.nhwc else pixels.transpose(2, 0, 1)[None]).astype(numpy.float32)


def faces(rng, args):
    size = args.size or 128
    large = Image.new("RGB", (4 * size, 4 * size), tuple(rng.randint(20, 235) for _ in range(3)))
    draw = ImageDraw.Draw(large)
    for _ in range(rng.randint(2, 9)):  # things behind
        x, y = rng.randint(0, 4 * size), rng.randint(0, 4 * size)
        draw.rectangle([x, y, x + rng.randint(size // 4, 2 * size), y + rng.randint(size // 4, 2 * size)],
                       fill=tuple(rng.randint(0, 255) for _ in range(3)))
    count, centres = rng.choice([0, 1, 1, 1, 2]), []
    for i in range(count):
        r = rng.uniform(0.5, 1.0) * size * (1.2 if count == 1 else 0.8)
        cx = (2 * size if count == 1 else (1 + 2 * i) * size) + rng.uniform(-0.4, 0.4) * size
        cy = 2 * size + rng.uniform(-0.8, 0.8) * size
        draw_face(draw, rng, cx, cy, r)
        centres.append([cx / 4, cy / 4, r / 4])
    picture = shade(large.filter(ImageFilter.GaussianBlur(size / 64)).resize((size, size), Image.LANCZOS), rng)
    return finish(degrade(picture, rng, 0, rng.uniform(0, 5), rng.uniform(0.7, 1.05)), args), {"faces": centres}


def room(rng, args):
    """Walls, doors, shelves: straight edges."""
    size = args.size or 320
    picture = Image.new("RGB", (size, size), tuple(rng.randint(90, 220) for _ in range(3)))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.randint(4, 14)):
        x, y, w, h = (rng.randint(0, size) for _ in range(4))
        skew = rng.uniform(-0.2, 0.2)
        corners = [(x, y), (x + w, y + skew * w), (x + w, y + h + skew * w), (x, y + h)]
        draw.polygon(corners, fill=tuple(rng.randint(0, 255) for _ in range(3)), outline=tuple(rng.randint(0, 80) for _ in range(3)))
    picture = shade(picture, rng)
    return finish(degrade(picture, rng, rng.uniform(0, 0.8), rng.uniform(0, 8), rng.uniform(0.6, 1.0)), args), {}


def tiles(rng, args):
    """Each tile is a cell of 16x16 pixels; none beside another."""
    size, cell = args.size or 640, 16
    side = size // cell
    pixels = numpy.full((size, size, 3), rng.uniform(0.1, 0.25), numpy.float32)
    picture = shade(Image.fromarray((pixels * 255).astype(numpy.uint8)), rng)
    pixels = numpy.array(picture, dtype=numpy.float32)
    found = []
    for _ in range(rng.randint(8, 40)):
        x, y, label = rng.randrange(side), rng.randrange(side), rng.randrange(4)
        if any(max(abs(x - u), abs(y - v)) < 4 for u, v, _ in found):
            continue
        for c in range(3):
            bright = label in (c, 3)
            pixels[y * cell : (y + 1) * cell, x * cell : (x + 1) * cell, c] = 255 * (rng.uniform(0.8, 1) if bright else rng.uniform(0, 0.15))
        found.append((x, y, label))
    picture = degrade(Image.fromarray(pixels.astype(numpy.uint8)), rng, 0, rng.uniform(0, 5), 1)
    return finish(picture, args), {"tiles": found}


def voice(rng, args):
    rate, count = 16000, args.size or 512
    t = (numpy.arange(count) + rng.randrange(rate)) / rate
    dice = numpy.random.default_rng(rng.getrandbits(32))
    sound = dice.normal(0, rng.choice([0.001, 0.01, 0.05]), count)
    voiced = rng.random() < 0.6
    if voiced:  # a pulse train through three resonances
        pitch = rng.uniform(85, 250)
        for formant in (rng.uniform(300, 800), rng.uniform(900, 2200), rng.uniform(2300, 3200)):
            for k in range(1, int(4000 / pitch)):
                weight = 1 / (1 + ((k * pitch - formant) / 120) ** 2)
                sound += 0.1 * weight * numpy.sin(2 * numpy.pi * k * pitch * t + rng.random())
    return (sound[None] * rng.uniform(0.3, 1)).astype(numpy.float32), {"label": "voiced" if voiced else "noise"}


KINDS = {"direction": direction, "scenes": scenes, "lines": lines, "faces": faces, "rooms": room, "tiles": tiles, "voice": voice}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, help="pixels of a side, or samples of sound")
    parser.add_argument("--width", type=int, help="of a line, in pixels")
    parser.add_argument("--range", type=float, nargs=2, default=[0, 1], help="what black and white become")
    parser.add_argument("--nhwc", action="store_true")
    parser.add_argument("--alpha", action="store_true", help="a fourth channel, all ones")
    parser.add_argument("--png", action="store_true", help="direction: the crops as pictures, for a release that fits them itself")
    parser.add_argument("--blur", type=float, default=0, help="direction: more of it than a good camera has, in pixels")
    parser.add_argument("--noise", type=float, default=0, help="direction: likewise, in 1/255")
    parser.add_argument("--gain", type=float, default=1, help="direction: of the light")
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    truth = {}
    for i in range(args.count):
        rng = random.Random(args.seed * 1000003 + i)
        name = f"{args.kind}-{i:04d}.{'png' if args.png else 'npy'}"
        sample, truth[name] = KINDS[args.kind](rng, args)
        if args.png:
            sample.save(args.dir / name)
        else:
            numpy.save(args.dir / name, numpy.ascontiguousarray(sample))
    (args.dir / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    labels = {name: what["label"] for name, what in truth.items() if "label" in what}
    if labels:
        (args.dir / "labels.json").write_text(json.dumps(labels, indent=1) + "\n")


if __name__ == "__main__":
    main()
