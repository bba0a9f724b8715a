/**
 * What one holder has in the gateway: a client, a connection, or all together. Parts of it are on their way to leaders.
 * No leader gets more of it than it leaves free: so a slow broker leaves as much for the partitions of the others.
 */
export class ByteShare {
  readonly bytesMax: number;
  #bytes = 0;
  /** Invariant: no entry is 0. */
  readonly #byLeader = new Map<number, number>();

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get free(): number {
    return this.bytesMax - this.#bytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** The part of it that is on its way to the leader. */
  atLeader(brokerId: number): number {
    return this.#byLeader.get(brokerId) ?? 0;
  }

  addAtLeader(brokerId: number, bytes: number): void {
    const sum = this.atLeader(brokerId) + bytes;
    if (sum === 0) this.#byLeader.delete(brokerId);
    else this.#byLeader.set(brokerId, sum);
  }
}
