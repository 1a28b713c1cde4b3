/** A binary heap of (key, id), least key first and then least id, as a sorted set of Redis orders scores and members. */
export class MinHeap {
  readonly #keys: number[] = [];
  readonly #ids: number[] = [];

  get size(): number {
    return this.#keys.length;
  }

  /** Infinity when it is empty. */
  get leastKey(): number {
    return this.#keys[0] ?? Number.POSITIVE_INFINITY;
  }

  /** -1 when it is empty. */
  get leastId(): number {
    return this.#ids[0] ?? -1;
  }

  push(key: number, id: number): void {
    let at = this.#keys.length;
    this.#keys.push(key);
    this.#ids.push(id);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(key, id, parent)) break;
      this.#copy(parent, at);
      at = parent;
    }
    this.#keys[at] = key;
    this.#ids[at] = id;
  }

  /** Takes the first out and gives its id; -1 when it is empty. */
  pop(): number {
    const first = this.leastId;
    const key = this.#keys.pop();
    const id = this.#ids.pop();
    if (key === undefined || id === undefined || this.#keys.length === 0) return first;
    const size = this.#keys.length;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isChildBefore(child + 1, child)) child += 1;
      if (this.#isBefore(key, id, child)) break;
      this.#copy(child, at);
      at = child;
    }
    this.#keys[at] = key;
    this.#ids[at] = id;
    return first;
  }

  #isBefore(key: number, id: number, at: number): boolean {
    const other = this.#keys[at] as number;
    return key < other || (key === other && id < (this.#ids[at] as number));
  }

  #isChildBefore(one: number, other: number): boolean {
    return this.#isBefore(this.#keys[one] as number, this.#ids[one] as number, other);
  }

  #copy(from: number, to: number): void {
    this.#keys[to] = this.#keys[from] as number;
    this.#ids[to] = this.#ids[from] as number;
  }
}
