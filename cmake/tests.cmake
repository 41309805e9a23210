# Every test goes through
#
#   muster_test(NAME COMMAND ... [TIMEOUT SECONDS] [PLAIN] [ENVIRONMENT NAME=VALUE...] [WORKING_DIRECTORY DIR])
#
#   PLAIN   not in a build with sanitizers, which would add nothing: what it runs is no C of ours, or is built by itself
#
# `make test` and `make asan` run two tests for each core, since most of them wait (for programs, for periods of a
# second) more than they compute. What computes all the time is below, and counts for two.
set(MUSTER_TEST_BUSY
  bench.swap fuzz.tuf_update robot.guard.mutants robot.guard.spin robot.guard.spin_faults system.test_demo_calm system.test_demo_chaos
  trust.tuf.signer_test)
# Long ones start first: ctest takes these seconds (on a quiet machine, roughly) until it has measured its own.
set(MUSTER_TEST_SECONDS
  bench.attack 7
  bench.explain 22
  bench.swap 15
  fleet.server.audit_test 12
  fleet.server.command_test 10
  fleet.server.identity_test 20
  fleet.server.incident_test 9
  fleet.server.release_test 6
  fleet.server.robot_port_test 13
  fleet.server.trust_test 35
  forge.engine_test 4
  forge.optimize.judge_test 7
  forge.prune.prune_test 6
  forge.quant.plan_cpu_test 8
  forge.quant.run_test 5
  fuzz.tuf_update 10
  infer.tensorrt_test 8
  robot.agent.agent_test 45
  robot.agent.agent_trust_test 60
  robot.agent.command_memory_test 5
  robot.forward.forward_crash_test 8
  robot.forward.forward_test 8
  robot.guard.guard_human_test 4
  robot.guard.mutants 20
  robot.guard.spin 15
  robot.guard.spin_faults 30
  robot.recorder.recorder_test 8
  robot.store.reports_test 6
  robot.store.store_crash_test 12
  sim.world.world_test 6
  system.test_audit 20
  system.test_corpus 50
  system.test_demo_calm 50
  system.test_demo_chaos 55
  system.test_demo_fleets_drone 180
  system.test_demo_fleets_fall 160
  system.test_derived 6
  system.test_errors 14
  system.test_faults 14
  system.test_forward 14
  system.test_identity 45
  system.test_incident 17
  system.test_isolation 30
  system.test_keys 10
  system.test_labelfree 31
  system.test_optimize 20
  system.test_oversight 65
  system.test_release 12
  system.test_robot_errors 100
  system.test_sealed 8
  system.test_switch 25
  system.test_telemetry 28
  system.test_tuf 15
  system.test_two_keys 20
  system.test_variants 8
  system.test_watch 48
  system.test_watch_fleets 130
  trust.admission_test 4
  trust.repo.repo_crash_test 10
  trust.tuf.signer_test 8)

function(muster_test name)
  cmake_parse_arguments(T "PLAIN" "TIMEOUT;WORKING_DIRECTORY" "COMMAND;ENVIRONMENT" ${ARGN})
  if(T_PLAIN AND MUSTER_SANITIZE)
    return()
  endif()
  if(NOT T_WORKING_DIRECTORY)
    set(T_WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  set(slots 1)
  if(name IN_LIST MUSTER_TEST_BUSY)
    set(slots 2)
  endif()
  add_test(NAME ${name} COMMAND ${T_COMMAND} WORKING_DIRECTORY ${T_WORKING_DIRECTORY})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT} PROCESSORS ${slots} ENVIRONMENT "${T_ENVIRONMENT}")
  list(FIND MUSTER_TEST_SECONDS ${name} at)
  if(at GREATER_EQUAL 0)
    math(EXPR at "${at} + 1")
    list(GET MUSTER_TEST_SECONDS ${at} seconds)
    set_tests_properties(${name} PROPERTIES COST ${seconds})
  endif()
endfunction()
