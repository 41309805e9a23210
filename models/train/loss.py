"""Task-aligned assignment and the loss: which cell answers for which object, and how wrong it was."""
import torch
import torch.nn.functional as F

TOP, ALPHA, BETA = 8, 1.0, 5.0


def overlap(a, b):
    """IoU and generalised IoU of boxes [...,4]."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = lambda t: (t[..., 2:] - t[..., :2]).clamp(min=0).prod(-1)
    union = area(a) + area(b) - shared + 1e-6
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1) + 1e-6
    iou = shared / union
    return iou, iou - (hull - union) / hull


@torch.no_grad()
def assign(scores, boxes, points, strides, truth, labels):
    """scores [b,n,C], boxes [b,n,4], truth [b,m,4], labels [b,m] (-1: none) -> object per cell [b,n] (-1: none) and
    the score [b,n] it should have."""
    b, n, classes = scores.shape
    real = labels >= 0
    centre, half = (truth[..., :2] + truth[..., 2:]) / 2, (truth[..., 2:] - truth[..., :2]) / 2
    near = (points[None, None] - centre[:, :, None]).abs() < torch.maximum(half[:, :, None],
                                                                           0.6 * strides[None, None])
    iou = overlap(truth[:, :, None], boxes[:, None])[0].clamp(min=0)
    own = scores.transpose(1, 2).gather(1, labels.clamp(min=0)[..., None].expand(-1, -1, n))
    fit = own.pow(ALPHA) * iou.pow(BETA) * (near.all(-1) & real[..., None])
    best = fit.topk(TOP, -1)
    chosen = torch.zeros_like(fit).scatter(-1, best.indices, (best.values > 1e-9).float())
    quality = fit / fit.amax(-1, keepdim=True).clamp(min=1e-9) * (iou * chosen).amax(-1, keepdim=True)
    strength, which = (iou * chosen).max(1)
    taken = strength > 0
    target = quality.gather(1, which[:, None])[:, 0] * taken
    return torch.where(taken, which, -1), target


def loss(logits, boxes, points, strides, truth, labels):
    which, target = assign(logits.sigmoid(), boxes.detach(), points, strides, truth, labels)
    at = which.clamp(min=0)
    wanted = torch.zeros_like(logits)
    wanted.scatter_(2, labels.gather(1, at).clamp(min=0)[..., None], target[..., None])
    share = target.sum().clamp(min=1)
    score = logits.sigmoid().detach()
    weight = torch.where(wanted > 0, wanted, 0.75 * score.pow(1.5))
    sort = (F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weight).sum() / share
    place = truth.gather(1, at[..., None].expand(-1, -1, 4))
    fit = ((1 - overlap(boxes, place)[1]) * target).sum() / share
    return sort + 2.0 * fit
