/** Calls of objects that are held up on their way, so that a test can let something happen before they arrive. */

import { runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import { until } from "./network.ts";

type Method = (...args: unknown[]) => Promise<unknown>;

/** The class that objects of a test are made of: object and test share one isolate. */
export function classOf<T extends object>(stub: DurableObjectStub): Promise<T> {
  return runInDurableObject(stub, (object) => Object.getPrototypeOf(object) as T);
}

export interface HeldBack {
  /** Waits until the call was made. */
  made(): Promise<void>;
  /** Lets the call go. */
  release(): void;
  /** Waits until it has arrived as it was made. */
  arrived(): Promise<void>;
}

/** Holds the next call of a method back, whichever object of the class it is for. */
export async function holdBack(stub: DurableObjectStub, method: string): Promise<HeldBack> {
  const prototype = await classOf<Record<string, Method>>(stub);
  const original = prototype[method];
  if (original === undefined) throw new Error(`no method ${method}`);
  // Plain values: a promise must not be awaited in another context than its own.
  const call = { made: false, released: false, arrived: false };
  vi.spyOn(prototype, method).mockImplementationOnce(async function (this: unknown, ...args: unknown[]) {
    call.made = true;
    while (!call.released) await new Promise((resolve) => setTimeout(resolve, 5));
    const result = await Reflect.apply(original, this, args);
    call.arrived = true;
    return result;
  });
  return {
    made: () => until(() => call.made, `a call of ${method}`),
    release: () => {
      call.released = true;
    },
    arrived: () => until(() => call.arrived, `the call of ${method}`),
  };
}
