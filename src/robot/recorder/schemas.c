/* The schemas of the topics (JSON Schema), as stock tools expect them. */
#include "robot/recorder/schemas.h"

#define TIME                                                                                                 \
    "{\"type\":\"object\",\"title\":\"time\",\"properties\":{\"sec\":{\"type\":\"integer\",\"minimum\":0},"  \
    "\"nsec\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":999999999}}}"
#define NUMBER "{\"type\":\"number\"}"
#define INTEGER "{\"type\":\"integer\"}"
#define TEXT "{\"type\":\"string\"}"
#define NUMBERS "{\"type\":\"array\",\"items\":" NUMBER "}"
#define POINT                                                                                                \
    "{\"type\":\"object\",\"title\":\"foxglove.Point2\",\"properties\":{\"x\":" NUMBER ",\"y\":" NUMBER "}}"
#define COLOR                                                                                                \
    "{\"type\":\"object\",\"title\":\"foxglove.Color\",\"properties\":{\"r\":" NUMBER ",\"g\":" NUMBER       \
    ",\"b\":" NUMBER ",\"a\":" NUMBER "}}"
#define OBJECT(title, properties)                                                                            \
    "{\"title\":\"" title "\",\"type\":\"object\",\"properties\":{" properties "}}"
#define ARRAY(of) "{\"type\":\"array\",\"items\":" of "}"

#define POINTS_ANNOTATION                                                                                    \
    OBJECT("foxglove.PointsAnnotation",                                                                      \
           "\"timestamp\":" TIME ",\"type\":" INTEGER                                                        \
           ",\"points\":" ARRAY(POINT) ",\"outline_color\":" COLOR                                           \
                                       ",\"outline_colors\":" ARRAY(COLOR) ",\"fill_color\":" COLOR          \
                                                                           ",\"thickness\":" NUMBER)
#define TEXT_ANNOTATION                                                                                      \
    OBJECT("foxglove.TextAnnotation",                                                                        \
           "\"timestamp\":" TIME ",\"position\":" POINT ",\"text\":" TEXT ",\"font_size\":" NUMBER           \
           ",\"text_color\":" COLOR ",\"background_color\":" COLOR)

const struct mcap_topic message_topics[TOPIC_COUNT] = {
    [TOPIC_FRAMES] = {"/frames", "foxglove.CompressedImage",
                      OBJECT("foxglove.CompressedImage",
                             "\"timestamp\":" TIME ",\"frame_id\":" TEXT
                             ",\"data\":{\"type\":\"string\",\"contentEncoding\":\"base64\"},\"format\":" TEXT
                             ",\"seq\":" INTEGER ",\"stream\":" INTEGER ",\"width\":" INTEGER
                             ",\"height\":" INTEGER ",\"shrink\":" INTEGER)},
    [TOPIC_ANNOTATIONS] = {"/annotations", "foxglove.ImageAnnotations",
                           OBJECT("foxglove.ImageAnnotations",
                                  "\"circles\":" ARRAY("{\"type\":\"object\"}") ",\"points\":" ARRAY(
                                      POINTS_ANNOTATION) ",\"texts\":" ARRAY(TEXT_ANNOTATION))},
    [TOPIC_INPUTS] = {"/inputs", "muster.Input",
                      OBJECT("muster.Input", "\"timestamp\":" TIME ",\"seq\":" INTEGER ",\"stream\":" INTEGER
                                             ",\"total\":" INTEGER ",\"values\":" NUMBERS)},
    [TOPIC_VERDICTS] = {"/verdicts", "muster.Verdict",
                        OBJECT("muster.Verdict",
                               "\"timestamp\":" TIME ",\"seq\":" INTEGER ",\"stream\":" INTEGER
                               ",\"answer\":" TEXT ",\"reason\":" TEXT ",\"state\":" TEXT
                               ",\"generation\":" INTEGER ",\"release\":" TEXT ",\"run_us\":" NUMBER
                               ",\"to_verdict_us\":" NUMBER ",\"detections\":" ARRAY(
                                   "{\"type\":\"object\",\"properties\":{\"box\":" NUMBERS
                                   ",\"score\":" NUMBER ",\"label\":" INTEGER "}}") ",\"values\":" NUMBERS)},
    [TOPIC_STATE] = {"/state", "muster.State",
                     OBJECT("muster.State",
                            "\"timestamp\":" TIME ",\"notice\":" TEXT ",\"state\":" TEXT ",\"text\":" TEXT
                            ",\"who\":" TEXT ",\"why\":" TEXT ",\"generation\":" INTEGER ",\"reason\":" TEXT
                            ",\"count\":" INTEGER)},
    [TOPIC_LOG] = {"/log", "foxglove.Log",
                   OBJECT("foxglove.Log", "\"timestamp\":" TIME ",\"level\":" INTEGER ",\"message\":" TEXT
                                          ",\"name\":" TEXT ",\"file\":" TEXT ",\"line\":" INTEGER)},
};
