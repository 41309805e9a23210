// What every component below Console may ask for.

import { getContext, setContext } from 'svelte';
import type { Fleet } from './fleet.svelte.ts';

export interface ConsoleContext {
  fleet: Fleet;
  versions: () => Map<string, number>;
}

const KEY = Symbol('console');

export function provideFleet(context: ConsoleContext): void {
  setContext(KEY, context);
}

export function useFleet(): ConsoleContext {
  return getContext<ConsoleContext>(KEY);
}
