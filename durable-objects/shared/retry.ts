/** Calling another object again when the platform says that it may help. */

const ATTEMPTS = 4;
const FIRST_DELAY_MS = 50;

/**
 * Calls an idempotent RPC until it answers. `call` makes a new stub each time, as a broken one stays broken; an
 * overloaded object is left alone. Throws the last error.
 */
export async function retrying<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const { retryable, overloaded } = error as { retryable?: boolean; overloaded?: boolean };
      if (retryable !== true || overloaded === true || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_DELAY_MS * 2 ** attempt));
    }
  }
}

const LONGEST_DELAY_MS = 5_000;

/**
 * Calls an idempotent RPC that must get through, whatever the error, until a time (milliseconds since 1970). Throws the
 * last error then; `failed` hears of every one before.
 */
export async function persisting<T>(
  until: number,
  call: () => Promise<T>,
  failed: (error: unknown) => void,
): Promise<T> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS)) {
    try {
      return await call();
    } catch (error) {
      if (Date.now() + delayMs >= until) throw error;
      failed(error);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}
