/** A door that stays open for one passage: wake-ups while its owner works are not lost. */
export interface Gate {
  /** Resolves once it was opened since it was last passed. One owner waits at a time. */
  passed(): Promise<void>;
  readonly open: () => void;
  /** Opens it later; a call before then replaces the time. Does not keep the process alive. */
  openIn(ms: number): void;
}

/** Makes a closed gate. */
export function createGate(): Gate {
  let isOpen = false;
  let waiting: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  const open = (): void => {
    isOpen = true;
    waiting?.();
  };
  return {
    async passed() {
      if (!isOpen) {
        await new Promise<void>((resolve) => {
          waiting = resolve;
        });
      }
      waiting = undefined;
      isOpen = false;
    },
    open,
    openIn(ms) {
      clearTimeout(timer);
      timer = setTimeout(open, ms);
      timer.unref();
    },
  };
}
