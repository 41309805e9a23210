# cmake -DDIST=web/dist -DOUT=assets.c -P embed.cmake: writes a C file that holds every file of DIST, plain and gzipped.
cmake_minimum_required(VERSION 3.22)
get_filename_component(work ${OUT} DIRECTORY)
set(types
  "html=text/html|charset=utf-8" "js=text/javascript|charset=utf-8" "css=text/css|charset=utf-8"
  "svg=image/svg+xml" "json=application/json" "png=image/png" "ico=image/x-icon" "woff2=font/woff2"
  "txt=text/plain|charset=utf-8")

function(type_of name out)
  get_filename_component(ext ${name} LAST_EXT)
  set(${out} "application/octet-stream" PARENT_SCOPE)
  foreach(row ${types})
    string(REGEX MATCH "^([^=]+)=(.*)$" matched "${row}")
    if(ext STREQUAL ".${CMAKE_MATCH_1}")
      string(REPLACE "|" "; " type "${CMAKE_MATCH_2}")
      set(${out} "${type}" PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

set(data "")
set(rows "")
set(count 0)
file(GLOB_RECURSE files LIST_DIRECTORIES false RELATIVE ${DIST} ${DIST}/*)
list(SORT files)
foreach(name ${files})
  set(plain ${DIST}/${name})
  set(gzip ${work}/asset_${count}.gz)
  execute_process(COMMAND gzip -9 -n -c ${plain} OUTPUT_FILE ${gzip} COMMAND_ERROR_IS_FATAL ANY)
  file(SIZE ${plain} plain_len)
  file(SIZE ${gzip} gzip_len)
  file(SHA256 ${plain} hash)
  string(SUBSTRING ${hash} 0 32 hash)
  type_of(${name} type)
  foreach(kind plain gzip)
    string(APPEND data "INCLUDE(asset_${count}_${kind}, \"${${kind}}\")\n")
  endforeach()
  string(APPEND rows "    {\"/${name}\", \"${type}\", \"\\\"${hash}\\\"\", asset_${count}_plain, asset_${count}_gzip, ${plain_len}, ${gzip_len}},\n")
  math(EXPR count "${count} + 1")
endforeach()

file(WRITE ${OUT} "/* Made by embed.cmake; do not edit. */
#include \"fleet/console/assets.h\"

#define INCLUDE(name, path) \\
    extern const unsigned char name[]; \\
    __asm__(\".pushsection .rodata\\n\" #name \":\\n.incbin \\\"\" path \"\\\"\\n.popsection\\n\");

${data}
const struct console_asset console_assets[] = {
${rows}    {0},
};
const size_t console_asset_count = ${count};
")
