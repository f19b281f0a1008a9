/** A value that React can subscribe to. Changes within one frame are told once. */
export class Store<T> {
  private readonly listeners = new Set<() => void>();
  private scheduled = false;

  constructor(private value: T) {}

  get state(): T {
    return this.value;
  }

  readonly getState = (): T => this.value;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  protected set(next: T): void {
    this.value = next;
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      for (const listener of [...this.listeners]) listener();
    });
  }

  protected clear(): void {
    this.listeners.clear();
  }
}
