/* What is claimed of the guard, in linear temporal logic. One line each: scripts/spin checks them by name, and docs/guard.md
 * lists the names with what they mean. `did(E)`: the event E has just been raised, or asked for and accepted. */
#define SAFE (answer == 0)
#define PRIMARY_ANSWERS (answer == 1)
#define IN(s) (state == S_##s)
#define did(e) (last == E_##e && ok)
#define DONE (phase == IDLE || phase == SHOWN) /* the file is written and the human is told */
#define ASKED (last >= E_HOLD && last != NO_EVENT)

/* Who answers. */
ltl human_means_no_model { [] ((IN(HOLD) || IN(OVERRIDE) || IN(ACK_WAIT) || IN(SERVICE) || IN(SAFE_STOP) || IN(ESTOP)) -> SAFE) }
ltl auto_is_live { [] ((IN(AUTO) -> primary == READY) && (IN(DEGRADED) -> primary == POOR)) }
ltl only_the_primary_states_use_it { [] (PRIMARY_ANSWERS -> (IN(AUTO) || IN(DEGRADED))) }
ltl fallback_only_without_primary { [] (IN(FALLBACK) -> (fallback && primary == NOBODY)) }
ltl standby_only_when_nothing_lives { [] (IN(STANDBY) -> (primary == NOBODY && !fallback)) }

/* Stop, reset, restart. */
ltl stop_is_never_refused { [] (last == E_STOP -> ok) }
ltl stop_is_one_step { [] (last == E_STOP -> (IN(SAFE_STOP) || IN(ESTOP))) }
ltl safe_stop_until_restart { [] ((IN(SAFE_STOP) && DONE) -> (SAFE W did(RESTART))) }
ltl no_restart_without_reset { [] ((IN(SAFE_STOP) && DONE) -> (!did(RESTART) W did(RESET))) }
ltl reset_starts_nothing { [] (did(RESET) -> IN(ACK_WAIT)) }
ltl restart_only_when_acknowledged { [] (did(RESTART) -> before == S_ACK_WAIT) }
ltl service_until_reset_and_restart { [] ((IN(SERVICE) && DONE) -> ((SAFE W did(RESTART)) && (!did(RESTART) W did(RESET)))) }
ltl a_fault_latches { [] (last == E_FAULT -> (IN(SAFE_STOP) || IN(ESTOP) || IN(SERVICE))) }

/* Latches outlive the guard: kill -9 is among what may happen in all of these. */
ltl hold_until_released { [] ((IN(HOLD) && DONE) -> (SAFE W (did(RELEASE) || did(RESTART)))) }
ltl only_a_human_unlatches { [] ((LATCHED(state) && DONE) -> (LATCHED(state) W (did(RELEASE) || did(RESTART)))) }
ltl a_damaged_file_stops { [] (damaged -> IN(SAFE_STOP)) }
ltl override_never_outlives_the_guard { [] (crashed -> !IN(OVERRIDE)) }

/* Leases. */
ltl never_two_holders { [] (holders <= 1 && (holders == 1 -> IN(OVERRIDE))) }
ltl a_lease_is_an_override { [] (DONE -> (held <-> IN(OVERRIDE))) }
ltl a_void_number_does_nothing { [] ((ok && number == NUM_VOID) -> last == E_STOP) }
ltl a_number_is_given_once { [] !reused }
ltl lease_lost_stops { [] (last == E_LEASE_LOST -> IN(SAFE_STOP)) }
ltl lease_lost_is_never_auto { [] (last == E_LEASE_LOST -> (SAFE W did(RESTART))) }
ltl an_override_ends_in_a_restart { [] ((IN(OVERRIDE) && DONE) -> (SAFE W did(RESTART))) }
ltl a_lease_that_ran_out_is_not_renewed { [] ((was_over && ASKED && ok) -> last == E_STOP) }

/* Ranks. */
ltl nobody_is_overruled_behind_his_back { [] ((ok && ASKED && was_held && number != NUM_CURRENT && last != E_STOP) -> (by_local && !was_local)) }
ltl a_local_operator_takes_over { [] ((last == E_OVERRIDE && by_local && was_held && !was_local && !was_over && number == NUM_NONE) -> ok) }
ltl a_local_word_stands { [] (!overruled && ((local_word && DONE) -> (!PRIMARY_ANSWERS W (ok && ASKED && by_local)))) }

/* The hardware. */
ltl pressed_is_estop { [] (seen <-> IN(ESTOP)) }
ltl released_starts_nothing { [] (last == E_ESTOP_RELEASED -> IN(SAFE_STOP)) }
ltl estop_until_restart { [] ((IN(ESTOP) && DONE) -> (SAFE W did(RESTART))) }

/* The table as a whole. */
ltl severity_falls_only_when_cleared { [] !dropped }
ltl a_refusal_changes_nothing { [] (!meddled && ((!ok && ASKED) -> state == before)) }

/* It happens in the end. The guard goes on looking, the clock goes on ticking; nothing else is assumed. */
ltl a_silent_holder_loses { [] ((IN(OVERRIDE) && [] (!did(RENEW) && !did(OVERRIDE))) -> <> !IN(OVERRIDE)) }
ltl a_button_is_noticed { [] (pressed -> <> (IN(ESTOP) || !pressed)) }
ltl every_step_ends { [] (!DONE -> <> DONE) }
ltl a_restart_leads_on { [] (did(RESTART) -> <> (!SAFE || IN(STANDBY) || crashed)) }
ltl standby_moves_on { [] ((IN(STANDBY) && [] <> (primary != NOBODY)) -> <> (!SAFE || LATCHED(state))) }
