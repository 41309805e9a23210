# Warnings after RAUC's list; hardening after the Debian and OpenSSF guides.
# Texts are cut on purpose (struct err has room for one line), hence no -Wformat-truncation.
add_compile_definitions(_GNU_SOURCE)
add_compile_options(
  -Wall -Wextra -Wshadow -Wformat=2 -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wmissing-declarations -Wpointer-arith -Wcast-align -Wwrite-strings -Wredundant-decls -Wnested-externs
  -Winit-self -Wswitch-enum -Wdate-time -Wimplicit-fallthrough -Wno-missing-field-initializers -Wno-unused-parameter
  -fno-common -fno-strict-aliasing
  -include ${CMAKE_SOURCE_DIR}/src/base/banned.h)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-format-truncation -Wjump-misses-init -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wtrampolines)
endif()
if(MUSTER_WERROR)
  add_compile_options(-Werror)
endif()
if(MUSTER_SANITIZE)
  add_compile_options(-fsanitize=${MUSTER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${MUSTER_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection)
  add_link_options(-pie -Wl,-z,relro,-z,noexecstack,--as-needed)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
    add_compile_options(-mbranch-protection=standard)
  endif()
endif()
if(MUSTER_FUZZ) # every room reports its coverage; the fuzz targets bring the driver
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
# Pure rooms are held to stricter arithmetic.
set(MUSTER_PURE_FLAGS -Wconversion -Wno-sign-conversion)
