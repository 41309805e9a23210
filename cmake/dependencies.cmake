find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET libevent>=2.1 libevent_openssl>=2.1)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.37)
pkg_check_modules(PROTOBUFC REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
# A video file as a camera is optional.
pkg_check_modules(AV IMPORTED_TARGET libavformat libavcodec libavutil libswscale)
find_program(PROTOC_C protoc-c REQUIRED)

# ONNX Runtime: the C header from an npm package, the library by dlopen at run time (never linked).
find_path(ONNXRUNTIME_INCLUDE onnxruntime_c_api.h
  PATHS ${CMAKE_SOURCE_DIR}/node_modules/com.github.asus4.onnxruntime
  PATH_SUFFIXES onnxruntime Plugins/include include Plugins/Linux/include)
