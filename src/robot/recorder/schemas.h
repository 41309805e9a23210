/* Topics and their schemas; see message.h. */
#ifndef MUSTER_ROBOT_RECORDER_SCHEMAS_H
#define MUSTER_ROBOT_RECORDER_SCHEMAS_H

#include "robot/recorder/message.h"

extern const struct mcap_topic message_topics[TOPIC_COUNT];

#endif
