/** Runs the work on all items, at most `countMax` at once. The first failure rejects it; nothing new is begun then. */
export async function inParallel<Item>(
  items: Iterable<Item>,
  countMax: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items[Symbol.iterator]();
  let hasFailed = false;
  const worker = async () => {
    for (let next = queue.next(); next.done !== true && !hasFailed; next = queue.next()) {
      try {
        await work(next.value);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: countMax }, worker));
}
