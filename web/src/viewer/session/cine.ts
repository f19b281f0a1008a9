/** Calls `advance` at a rate, in step with the screen, without piling up when drawing is slow. */
export class Cine {
  private handle = 0;
  private due = 0;

  constructor(
    private readonly rate: number,
    private readonly advance: () => void,
  ) {}

  start(): void {
    this.due = performance.now();
    const tick = (now: number): void => {
      const period = 1000 / this.rate;
      if (now >= this.due) {
        this.due = Math.max(this.due + period, now - period);
        this.advance();
      }
      this.handle = requestAnimationFrame(tick);
    };
    this.handle = requestAnimationFrame(tick);
  }

  stop(): void {
    cancelAnimationFrame(this.handle);
  }
}
