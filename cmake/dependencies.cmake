find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET libevent>=2.1 libevent_openssl>=2.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.37)
pkg_check_modules(PROTOBUFC REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
# A video file as a camera is optional.
pkg_check_modules(AV IMPORTED_TARGET libavformat libavcodec libavutil libswscale)
find_program(PROTOC_C protoc-c REQUIRED)

# ONNX Runtime: a system-wide C header is preferred, else the one of the pinned npm package (`npm ci --ignore-scripts`).
# The library is opened with dlopen at run time (src/infer/runtime.h), never linked. The API only ever grows at its end, so
# the header may be newer than the library.
set(ONNXRUNTIME_NPM ${CMAKE_SOURCE_DIR}/node_modules/com.github.asus4.onnxruntime)
find_path(ONNXRUNTIME_INCLUDE onnxruntime_c_api.h
  PATHS "${ONNXRUNTIME_NPM}/Plugins/iOS~/onnxruntime.xcframework/ios-arm64/onnxruntime.framework/Headers"
  PATH_SUFFIXES onnxruntime onnxruntime/core/session)
if(NOT ONNXRUNTIME_INCLUDE)
  message(FATAL_ERROR "onnxruntime_c_api.h is missing; run `npm ci --ignore-scripts` in ${CMAKE_SOURCE_DIR}")
endif()
