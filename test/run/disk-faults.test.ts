/** Disks that are full, read-only or broken: real ones, small, in a mount namespace of their own; errors injected by strace. */
import { execFile, execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { built } from '../built.js';
import { linearModel } from './onnx.js';
import { openWorkbench } from './workbench.js';

const bench = await openWorkbench();
/** Numbers that no codec makes small. */
await bench.parquet('data/a.parquet', 'SELECT random() AS wide, (i % 100)::FLOAT AS x FROM range(200000) t(i)');
const model = { path: await bench.write('models/linear.onnx', linearModel([0.3], 1)) };
const parts = { features: ['x'], model, outputs: { score: 'score' } };

/** Why a command cannot be used; undefined where it can. A tool that is not installed is an error under `CI=true`. */
function lack(command: string, ...args: readonly string[]): string | undefined {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return undefined;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (missing && process.env['CI'] === 'true') throw new Error(`${command} is not installed`, { cause: error });
    return missing ? `${command} is not installed` : `${command} is not allowed here`;
  }
}

const noMount = lack('unshare', '-m', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt');
const noTrace = lack('strace', '-f', '-qq', '-o', '/dev/null', 'true');

const program = `${process.execPath} ${built('bin/colonnade.js')}`;

/** Runs a script of the shell in a mount namespace, with `$disk` a folder and `$run P` the program; stderr is its output. */
function inNamespace(script: string): Promise<string> {
  const disk = bench.path('disk');
  const whole = `set -e; disk='${disk}'; mkdir -p "$disk"; run() { set +e; ${program} run "$@" --json --quiet 2>&1; echo "exit $?"; set -e; }; ${script}`;
  return new Promise((resolve, reject) => {
    execFile('unshare', ['-m', 'sh', '-c', whole], { maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${stdout}\n${stderr}`, { cause: error }));
    });
  });
}

/** The parts between lines of `--`. */
const sections = (text: string): string[] => text.split(/^--\n/m);

describe.skipIf(noMount !== undefined)(
  `a disk of its own${noMount === undefined ? '' : ` (skipped: ${noMount})`}`,
  () => {
    const at = (sink: object) => bench.pipeline({ ...parts, sink: { path: bench.path('disk/out'), ...sink } });

    it.each(['append', 'partition', 'predictions'])(
      'that is full ends the run, which names it, shows nothing, and is gone on from once there is room: %s',
      async (mode) => {
        const pipeline = await at({ mode, ...(mode === 'partition' ? { partition_by: ['x'] } : {}) });
        const size = mode === 'predictions' ? '64k' : '600k';
        const told = await inNamespace(
          `mount -t tmpfs -o size=${size} tmpfs "$disk"; run '${pipeline}'; echo --; ls "$disk"; echo --;
         mount -o remount,size=60m "$disk"; run '${pipeline}'; echo --; ls "$disk/out"; ls "$disk/out.colonnade"`,
        );
        const [full = '', left = '', again = '', after = ''] = sections(told);
        expect(full).toMatch(/exit 1\n$/);
        expect(full).toContain('"code":"DISK_FULL"');
        // The path, and what to do about it.
        expect(full).toContain(bench.path('disk/out'));
        expect(full).toMatch(/"hint":"[^"]*space/);
        expect(left.split('\n')).not.toContain('out');
        expect(again).toMatch(/exit 0\n$/);
        expect(again).toContain('"rows":200000');
        expect(after).toContain('_SUCCESS');
        expect(after).not.toContain('staging');
      },
    );

    it('that is full leaves the earlier output whole, which was to be replaced', async () => {
      const pipeline = await at({ exists: 'replace' });
      const told = await inNamespace(
        `mount -t tmpfs -o size=3m tmpfs "$disk"; run '${pipeline}' > /dev/null; cd "$disk/out"; find . -type f | sort | xargs sha256sum; echo --;
       run '${pipeline}'; echo --; find . -type f | sort | xargs sha256sum`,
      );
      const [before, full, after] = sections(told);
      expect(full).toContain('"code":"DISK_FULL"');
      expect(before).toMatch(/a\.parquet\n/);
      expect(after).toBe(before);
    });

    it('that is read-only is refused before any work', async () => {
      const pipeline = await at({});
      const told = await inNamespace(
        `mount -t tmpfs -o size=4m tmpfs "$disk"; mount -o remount,ro "$disk"; run '${pipeline}'; echo --; ls -A "$disk"`,
      );
      const [refused = '', left] = sections(told);
      expect(refused).toMatch(/exit 78\n$/);
      expect(refused).toContain('"code":"OUTPUT_NOT_WRITABLE"');
      expect(left).toBe('');
    });
  },
);

describe.skipIf(noTrace !== undefined)(
  `a disk that fails${noTrace === undefined ? '' : ` (skipped: ${noTrace})`}`,
  () => {
    it.each(['fsync', 'rename'])(
      'at one %s ends the run or is met by another try, and never shows a part',
      async (call) => {
        const pipeline = await bench.pipeline({ ...parts, sink: { path: bench.path(`broken-${call}/out`) } });
        const traced = (when: number): Promise<{ readonly code: number; readonly stdout: string }> =>
          new Promise((resolve) => {
            const calls = call === 'rename' ? 'rename,renameat,renameat2' : call;
            const strace = [
              '-f',
              '-qq',
              '-o',
              '/dev/null',
              '-e',
              `trace=${calls}`,
              '-e',
              `inject=${calls}:error=EIO:when=${when}`,
            ];
            const args = [...strace, process.execPath, built('bin/colonnade.js'), 'run', pipeline, '--json', '--quiet'];
            const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
            execFile('strace', args, { env }, (error, stdout) => {
              resolve({ code: error === null ? 0 : Number(error.code), stdout });
            });
          });
        let failures = 0;
        for (const when of [1, 3, 6, 9]) {
          for (const left of ['out', 'out.colonnade'])
            await rm(bench.path(`broken-${call}/${left}`), { recursive: true, force: true });
          const { code, stdout } = await traced(when);
          const shown = (await bench.files(`broken-${call}`)).filter((file) => file.startsWith('out/'));
          // Whole, or not there.
          expect([[], ['out/_SUCCESS', 'out/a.parquet']]).toContainEqual(shown);
          if (code !== 0) {
            failures += 1;
            expect(code).toBe(1);
            expect(stdout).toContain('"code":"IO_FAILED"');
            expect(stdout).toContain(bench.path(`broken-${call}/out`));
          }
          // With the disk mended: what was begun is finished, what was not is done, and what is done is refused.
          const { stdout: again } = await traced(60_000);
          expect(again).toMatch(code === 0 ? /"code":"OUTPUT_EXISTS"/ : /"status":"done"/);
          expect((await bench.files(`broken-${call}`)).filter((file) => file.startsWith('out/'))).toEqual([
            'out/_SUCCESS',
            'out/a.parquet',
          ]);
        }
        expect(failures).toBeGreaterThan(0);
      },
    );
  },
);
