"""The detectors: small, anchor-free, strides 8 and 16, with the output layout of YOLOv8.

    images  float32 [1, 3, 128, 160]   RGB (or what the recipe takes for RGB), 0..1
    output0 float32 [1, 4+C, 400]      rows 0..3: cx, cy, w, h in input pixels; rows 4..: probability per class
                                       columns: 16x20 cells of stride 8, then 8x10 cells of stride 16
"""
import torch
import torch.nn.functional as F
from torch import nn

HEIGHT, WIDTH, STRIDES = 128, 160, (8, 16)


class Conv(nn.Sequential):
    def __init__(self, c_in, c_out, kernel=3, stride=1, act=nn.ReLU):
        layers = [nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(c_out)]
        super().__init__(*layers, *([act()] if act else []))


class Residual(nn.Module):
    def __init__(self, c, act=nn.ReLU):
        super().__init__()
        self.a, self.b, self.act = Conv(c, c, act=act), Conv(c, c, act=None), act()

    def forward(self, x):
        return self.act(x + self.b(self.a(x)))


class Doubled(nn.Module):
    """Twice the input's resolution inside the graph, and wide layers on it: "for more accuracy"."""

    def __init__(self, width, blocks):
        super().__init__()
        self.stem = Conv(3, width, 7, act=nn.SiLU)
        self.halve = Conv(width, width, stride=2, act=nn.SiLU)
        self.blocks = nn.Sequential(*[Residual(width, nn.SiLU) for _ in range(blocks)])
        for block in self.blocks:
            nn.init.zeros_(block.b[1].weight)

    def forward(self, x):
        x = F.interpolate(x, size=(2 * x.shape[2], 2 * x.shape[3]), mode="bicubic", align_corners=False)
        return self.blocks(self.halve(self.stem(x)))


class Detector(nn.Module):
    """widths: channels at strides 2, 4, 8, 16; depths: residual blocks at strides 4, 8, 16."""

    def __init__(self, classes, widths, depths, head, doubled=None):
        super().__init__()
        c2, c4, c8, c16 = widths
        stack = lambda c, n: [Residual(c) for _ in range(n)]
        self.classes = classes
        self.front = Doubled(**doubled) if doubled else nn.Identity()
        self.low = nn.Sequential(Conv(doubled["width"] if doubled else 3, c2, stride=2), Conv(c2, c4, stride=2),
                                 *stack(c4, depths[0]))
        self.mid = nn.Sequential(Conv(c4, c8, stride=2), *stack(c8, depths[1]))
        self.top = nn.Sequential(Conv(c8, c16, stride=2), *stack(c16, depths[2]))
        self.down = Conv(c16, c8, 1)
        self.mix = Conv(c8, c8)
        self.heads = nn.ModuleList(nn.Sequential(Conv(c, head), nn.Conv2d(head, 4 + classes, 1)) for c in (c8, c16))
        for h in self.heads:
            nn.init.normal_(h[-1].weight, std=0.01)
            nn.init.constant_(h[-1].bias[:4], 1.0)
            nn.init.constant_(h[-1].bias[4:], -4.5)
        points, strides = cells()
        self.register_buffer("points", points, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def raw(self, x):
        """Logits [b,n,C] and boxes [b,n,4] as x0,y0,x1,y1 in pixels."""
        mid = self.mid(self.low(self.front(x)))
        top = self.top(mid)
        mid = self.mix(mid + F.interpolate(self.down(top), scale_factor=2.0, mode="nearest"))
        out = torch.cat([h(f).flatten(2) for h, f in zip(self.heads, (mid, top))], 2).transpose(1, 2).float()
        reach = torch.exp(out[..., :4].clamp(-6, 4)) * self.strides
        return out[..., 4:], torch.cat([self.points - reach[..., :2], self.points + reach[..., 2:]], -1)

    def forward(self, x):
        logits, box = self.raw(x)
        low, high = box[..., :2], box[..., 2:]
        return torch.cat([(low + high) / 2, high - low, logits.sigmoid()], -1).transpose(1, 2)


def cells():
    """Centres [n,2] in pixels and strides [n,1]."""
    points, strides = [], []
    for s in STRIDES:
        y, x = torch.meshgrid(torch.arange(HEIGHT // s), torch.arange(WIDTH // s), indexing="ij")
        points.append((torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * s)
        strides.append(torch.full((points[-1].shape[0], 1), float(s)))
    return torch.cat(points), torch.cat(strides)
