/**
 * Runs ask now and then again, each time the given milliseconds after it has
 * ended, except while nobody sees the page. The returned function ends that.
 */
export function poll(ms: number, ask: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  const turn = async () => {
    if (!document.hidden) await ask();
    if (!stopped) timer = setTimeout(() => void turn(), ms);
  };
  void turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
