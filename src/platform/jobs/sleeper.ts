/** Lets one loop sleep until it is woken. A wake while nobody sleeps is not lost. */
export interface Sleeper {
  wake(): void;
  /**
   * Resolves on the next wake, at once if there was one since the last sleep, or after `limitMs`.
   *
   * @returns whether it was woken
   */
  sleep(limitMs: number): Promise<boolean>;
}

/** Makes a sleeper for one loop. */
export function createSleeper(): Sleeper {
  let isWoken = false;
  let rouse: (() => void) | undefined;
  return {
    wake() {
      isWoken = true;
      rouse?.();
    },
    async sleep(limitMs) {
      if (!isWoken) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, limitMs);
          rouse = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        rouse = undefined;
      }
      const wasWoken = isWoken;
      isWoken = false;
      return wasWoken;
    },
  };
}
