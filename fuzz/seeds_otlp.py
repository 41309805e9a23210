#!/usr/bin/env python3
"""Writes corpora/otlp and corpora/otlp_points: messages made with the original proto files of OpenTelemetry, also read by the tests of src/wire.

    pip install opentelemetry-proto && fuzz/seeds_otlp.py
"""
import pathlib

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from google.protobuf import text_format

OUT = pathlib.Path(__file__).parent / "corpora" / "otlp"

POINT = """
attributes { key: "muster.release" value { string_value: "sha256:%s" } }
attributes { key: "muster.version" value { string_value: "2.0.0" } }
start_time_unix_nano: 1700000000123000000 time_unix_nano: 1700000010456000000""" % ("ab" * 32)

RESOURCE = """
resource {
  attributes { key: "service.name" value { string_value: "muster-agent" } }
  attributes { key: "muster.robot" value { string_value: "r-01" } }
  attributes { key: "muster.stream" value { string_value: "00112233445566778899aabbccddeeff" } }
  attributes { key: "muster.seq" value { int_value: 42 } }
}"""


def total(name, unit, points, temporality="AGGREGATION_TEMPORALITY_DELTA"):
    inner = " ".join("data_points { %s %s }" % (POINT, p) for p in points)
    return 'metrics { name: "%s" unit: "%s" sum { aggregation_temporality: %s is_monotonic: true %s } }' % (
        name, unit, temporality, inner)


def by(key, word, number):
    return 'attributes { key: "%s" value { string_value: "%s" } } as_int: %d' % (key, word, number)


HISTOGRAM = """metrics { name: "muster.inference.latency" unit: "ms" exponential_histogram {
  aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA
  data_points { %s count: 7 sum: 21.5 scale: 3 zero_count: 1 positive { offset: -2 bucket_counts: [1, 0, 300000, 2] }
    min: 0 max: 1.25 } } }""".replace("count: 7", "count: 300004") % POINT

ALL = [
    total("muster.frames", "{frame}", ["as_int: 100"]),
    total("muster.results", "{result}", ["as_int: 90"]),
    total("muster.frames.lost", "{frame}", ["as_int: 3"]),
    total("muster.guard.interventions", "{intervention}", [by("muster.reason", "deadline", 5), by("muster.reason", "other", 2)]),
    total("muster.score", "{match}", [by("muster.outcome", "tp", 8), by("muster.outcome", "fn", 1)]),
    total("muster.score.frames", "{frame}", ["as_int: 4"]),
    total("muster.detections", "{detection}", ["as_int: 250"]),
    total("muster.confidence.sum", "1", ["as_double: 199.5"]),
    HISTOGRAM,
]

STOCK = """resource_metrics {
  resource {
    attributes { key: "service.name" value { string_value: "stock" } }
    attributes { key: "list" value { array_value { values { string_value: "x" } values { bool_value: true } } } }
    attributes { key: "map" value { kvlist_value { values { key: "k" value { double_value: 1.5 } } } } }
    attributes { key: "raw" value { bytes_value: "\\001\\002" } }
    dropped_attributes_count: 3
  }
  scope_metrics {
    scope { name: "lib" version: "1" attributes { key: "a" value { int_value: 1 } } dropped_attributes_count: 1 }
    metrics { name: "cpu" description: "d" unit: "1" gauge { data_points { as_double: 0.5 time_unix_nano: 9 flags: 1
      exemplars { as_double: 1 span_id: "12345678" trace_id: "1234567812345678" } } } }
    metrics { name: "h" histogram { aggregation_temporality: AGGREGATION_TEMPORALITY_CUMULATIVE
      data_points { count: 3 sum: 1 bucket_counts: [1, 2] explicit_bounds: [0.5] min: 0 max: 1 } } }
    metrics { name: "s" summary { data_points { count: 1 sum: 1 quantile_values { quantile: 0.5 value: 1 } } } }
    metrics { name: "muster.frames" sum { aggregation_temporality: AGGREGATION_TEMPORALITY_CUMULATIVE } }
    schema_url: "https://opentelemetry.io/schemas/1.4.0"
  }
  schema_url: "https://opentelemetry.io/schemas/1.4.0"
}"""


def save(name, text):
    message = text_format.Parse(text, ExportMetricsServiceRequest())
    (OUT / f"{name}.bin").write_bytes(message.SerializeToString(deterministic=True))


def muster(*metrics):
    return "resource_metrics { %s scope_metrics { scope { name: \"muster\" } %s } }" % (RESOURCE, " ".join(metrics))


OUT.mkdir(parents=True, exist_ok=True)
save("original", muster(*ALL))
save("stock", STOCK)
save("stock_and_original", STOCK + muster(*ALL))
save("cumulative", muster(total("muster.frames", "{frame}", ["as_int: 1"], "AGGREGATION_TEMPORALITY_CUMULATIVE")))
save("double_frames", muster(total("muster.frames", "{frame}", ["as_double: 1"])))
save("gauge_frames", muster('metrics { name: "muster.frames" gauge { data_points { as_int: 1 } } }'))
save("wrong_count", muster(HISTOGRAM.replace("300004", "300005")))
save("negative_values", muster(HISTOGRAM.replace("min: 0", "negative { bucket_counts: [1] } min: 0")))
save("no_bounds", muster(HISTOGRAM.replace("min: 0 max: 1.25", "").replace("sum: 21.5", "")))
save("unknown_reason", muster(total("muster.guard.interventions", "1", [by("muster.reason", "goblins", 6)])))


def wrap(number, payload):
    """A length-delimited field by hand."""
    size, length = len(payload), b""
    while size >= 0x80:
        length, size = length + bytes([size & 0x7f | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload


def unpacked():
    """bucket_counts one by one: parsers must take both forms, no current library writes this one."""
    whole = text_format.Parse(muster(HISTOGRAM), ExportMetricsServiceRequest()).resource_metrics[0]
    point = whole.scope_metrics[0].metrics[0].exponential_histogram.data_points[0]
    buckets = b"\x08\x03" + b"\x10\x01" + b"\x10\x00" + b"\x10\xe0\xa7\x12" + b"\x10\x02"
    point.ClearField("positive")
    histogram = wrap(1, point.SerializeToString(deterministic=True) + wrap(8, buckets)) + b"\x10\x01"
    metric = wrap(1, b"muster.inference.latency") + wrap(10, histogram)
    metrics = wrap(1, whole.resource.SerializeToString(deterministic=True)) + wrap(2, wrap(2, metric))
    (OUT / "unpacked.bin").write_bytes(wrap(1, metrics))


unpacked()


# Numbers with a name, as a stock SDK may send them: three that are kept, four that are not, and a window's metric that is not theirs to keep.
TIMES = "start_time_unix_nano: 1700000000123000000 time_unix_nano: 1700000010456000000"
LUMA = 'attributes { key: "muster.signal" value { string_value: "luma" } }'
POINTS = [
    'metrics { name: "muster.signal" unit: "1" description: "x" gauge { data_points { %s time_unix_nano: 1700000010456000000 as_int: -3 } } }' % LUMA,
    'metrics { name: "muster.drift.log_e" unit: "1" gauge { data_points { %s as_double: 0.25 flags: 1 } data_points { %s as_double: inf } } }' % (TIMES, TIMES),
    'metrics { name: "two" gauge { data_points { %s %s attributes { key: "b" value { string_value: "c" } } as_double: 1 } } }' % (TIMES, LUMA),
    'metrics { name: "all" sum { aggregation_temporality: AGGREGATION_TEMPORALITY_CUMULATIVE is_monotonic: true data_points { %s as_int: 9 } } }' % TIMES,
    'metrics { name: "muster.labels" unit: "{detection}" sum { aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA data_points { %s as_int: 12 } } }' % TIMES,
    'metrics { name: "classic" histogram { aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA data_points { %s count: 1 bucket_counts: [1] } } }' % TIMES,
    ALL[0],
]

points = ExportMetricsServiceRequest()
text_format.Parse("resource_metrics { %s scope_metrics { scope { name: \"sdk\" } %s } }" % (RESOURCE.replace("42", "7"), " ".join(POINTS)), points)
(OUT.parent / "otlp_points").mkdir(exist_ok=True)
(OUT.parent / "otlp_points" / "stock.bin").write_bytes(points.SerializeToString())
