/**
 * Several streams as one, in the order in which their events come. A stream is asked for its next event only after its
 * last one was taken, so a slow reader slows all of them. If one fails the others are ended.
 */
export async function* mergeStreams<T>(streams: readonly AsyncIterable<T>[]): AsyncGenerator<T, void, void> {
  const iterators = streams.map((stream) => stream[Symbol.asyncIterator]());
  const ask = async (index: number) => ({ index, result: await iterators[index]?.next() });
  const waiting = new Map(iterators.map((_, index) => [index, ask(index)]));
  try {
    while (waiting.size > 0) {
      const { index, result } = await Promise.race(waiting.values());
      if (result === undefined || result.done) {
        waiting.delete(index);
        continue;
      }
      yield result.value;
      waiting.set(index, ask(index));
    }
  } finally {
    for (const rest of waiting.values()) rest.catch(() => undefined);
    await Promise.allSettled(iterators.map(async (iterator) => iterator.return?.(undefined)));
  }
}
