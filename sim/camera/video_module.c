/* muster-sim-video.so: video files through libavformat and its hundred libraries, in a module of its own, so
 * that only a robot with a video as its camera pays for them (26 MB, 50 ms). */
#include "sim/camera/source.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

struct video_source {
    struct source_size size;
    AVFormatContext *file;
    AVCodecContext *decoder;
    struct SwsContext *scaler;
    AVFrame *frame;
    AVPacket *packet;
    int stream;
};

static void video_close(void *self)
{
    struct video_source *source = self;

    sws_freeContext(source->scaler);
    av_frame_free(&source->frame);
    av_packet_free(&source->packet);
    avcodec_free_context(&source->decoder);
    avformat_close_input(&source->file);
    free(source);
}

static int av_failed(struct err *err, int status, const char *what)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";

    av_strerror(status, text, sizeof(text));
    return err_set(err, status == AVERROR(ENOENT) ? ERR_NOT_FOUND : ERR_INVALID, "%s: %s", what, text);
}

static int open_decoder(struct video_source *source, struct err *err)
{
    const AVCodec *codec = NULL;
    int status = av_find_best_stream(source->file, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);

    if (status < 0)
        return av_failed(err, status, "no video that can be decoded");
    source->stream = status;
    source->decoder = avcodec_alloc_context3(codec);
    source->frame = av_frame_alloc();
    source->packet = av_packet_alloc();
    if (!source->decoder || !source->frame || !source->packet)
        return err_no_memory(err);
    status = avcodec_parameters_to_context(source->decoder, source->file->streams[source->stream]->codecpar);
    source->decoder->thread_count = 1;
    if (status >= 0)
        status = avcodec_open2(source->decoder, codec, NULL);
    return status < 0 ? av_failed(err, status, "the decoder does not start") : 0;
}

static int open_file(struct video_source *source, const char *path, struct err *err)
{
    int status = avformat_open_input(&source->file, path, NULL, NULL);

    if (status < 0)
        return av_failed(err, status, "cannot open the video");
    status = avformat_find_stream_info(source->file, NULL);
    if (status < 0)
        return av_failed(err, status, "cannot read the video");
    return open_decoder(source, err);
}

static int video_open(const char *path, struct source_size size, void **out, struct err *err)
{
    struct video_source *source = mem_zalloc(1, sizeof(*source));

    if (!source)
        return err_no_memory(err);
    av_log_set_level(AV_LOG_QUIET);
    source->size = size;
    if (open_file(source, path, err) < 0) {
        video_close(source);
        return -1;
    }
    *out = source;
    return 0;
}

/* Gives the decoder its next packet; at the end of the file, the sign that no more come. */
static int feed(struct video_source *source, bool *ended, struct err *err)
{
    int status;

    do {
        av_packet_unref(source->packet);
        status = av_read_frame(source->file, source->packet);
    } while (status >= 0 && source->packet->stream_index != source->stream);
    *ended = status == AVERROR_EOF;
    if (status < 0 && !*ended)
        return av_failed(err, status, "cannot read the video");
    status = avcodec_send_packet(source->decoder, *ended ? NULL : source->packet);
    av_packet_unref(source->packet);
    return status < 0 && status != AVERROR_EOF ? av_failed(err, status, "damaged video") : 0;
}

static int rewind_video(struct video_source *source, struct err *err)
{
    int status = av_seek_frame(source->file, source->stream, 0, AVSEEK_FLAG_BACKWARD);

    avcodec_flush_buffers(source->decoder);
    return status < 0 ? av_failed(err, status, "cannot start the video over") : 0;
}

/* The next decoded frame in source->frame. A second end without a frame between means that there is none. */
static int decode(struct video_source *source, struct err *err)
{
    for (int ends = 0; ends < 2;) {
        int status = avcodec_receive_frame(source->decoder, source->frame);
        bool ended = false;

        if (status >= 0)
            return 0;
        if (status == AVERROR_EOF) {
            ends++;
            if (rewind_video(source, err) < 0)
                return -1;
        } else if (status != AVERROR(EAGAIN)) {
            return av_failed(err, status, "damaged video");
        }
        if (feed(source, &ended, err) < 0)
            return -1;
    }
    return err_set(err, ERR_INVALID, "the video has no frames");
}

static int video_next(void *self, int elapsed_ms, uint8_t *rgb, struct camera_truth *truth, struct err *err)
{
    struct video_source *source = self;
    uint8_t *planes[4] = {rgb};
    int strides[4] = {source->size.width * 3};

    if (decode(source, err) < 0)
        return -1;
    const AVFrame *frame = source->frame;
    source->scaler = sws_getCachedContext(
        source->scaler, frame->width, frame->height, (enum AVPixelFormat)frame->format, source->size.width,
        source->size.height, AV_PIX_FMT_RGB24, SWS_BILINEAR, NULL, NULL, NULL);
    if (!source->scaler)
        return err_set(err, ERR_INVALID, "the video's pixel format cannot be converted");
    sws_scale(source->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, planes,
              strides);
    av_frame_unref(source->frame);
    return 0;
}

const struct source_ops source_video_module = {"video:", video_open, video_next, video_close};
