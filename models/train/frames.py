"""Reads what `muster-sim frames --raw FILE` writes. The format stands in sim/frames/raw.h:

    "MUSTFRM1"  u32 width  u32 height  u32 frames  u32 boxes_max  u32 0  u32 0        (32 bytes, little endian)
    per frame:  rgb[height][width][3]  u32 site  u32 boxes  boxes_max x (u32 label, f32 x0, y0, x1, y1)
"""
import numpy as np

HEADER = np.dtype([("magic", "S8"), ("width", "<u4"), ("height", "<u4"), ("frames", "<u4"), ("boxes_max", "<u4"),
                   ("spare", "<u4", 2)])


class Frames:
    """rgb uint8 [n,h,w,3]; boxes float32 [n,m,4] as x0,y0,x1,y1; labels int64 [n,m], -1 where there is no box."""

    def __init__(self, path):
        head = np.fromfile(path, HEADER, 1)[0]
        if head["magic"] != b"MUSTFRM1":
            raise ValueError(f"{path}: not a file of frames")
        most = int(head["boxes_max"])
        box = np.dtype([("label", "<u4"), ("xyxy", "<f4", 4)])
        record = np.dtype([("rgb", "u1", (int(head["height"]), int(head["width"]), 3)), ("site", "<u4"),
                           ("count", "<u4"), ("box", box, most)])
        data = np.memmap(path, record, "r", HEADER.itemsize, int(head["frames"]))
        self.rgb, self.site = data["rgb"], np.asarray(data["site"])
        self.boxes = np.ascontiguousarray(data["box"]["xyxy"])
        self.labels = data["box"]["label"].astype(np.int64)
        self.labels[np.arange(most)[None, :] >= np.asarray(data["count"])[:, None]] = -1

    def __len__(self):
        return len(self.rgb)
