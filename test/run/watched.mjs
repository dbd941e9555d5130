/** Calls something once, for as long as it is told, under the watchdog of the built program; then ends with status 7. */
const [watchdog, callMs] = process.argv.slice(2);
const { startWatchdog } = await import(watchdog);
const watch = startWatchdog(1);
// The thread is there by then.
await new Promise((resolve) => setTimeout(resolve, 200));
watch.begin(1, 2, 3, 2 ** 40);
await new Promise((resolve) => process.send('began', resolve));
// Time in which this process runs: what passes while it is stopped is seen as one step.
for (let spent = 0, last = performance.now(); spent < Number(callMs);) {
  const now = performance.now();
  spent += Math.min(now - last, 10);
  last = now;
}
watch.end();
process.exit(7);
