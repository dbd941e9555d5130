/** Publishes what is staged, and is killed at the n-th change of a file: `node killed-publisher.mjs TASK n before|after`. */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { killAt } from '../killed-at.mjs';

const [taskFile, n, when] = process.argv.slice(2);
const { publishModule, places, manifest } = JSON.parse(readFileSync(taskFile, 'utf8'));
const { publish } = await import(pathToFileURL(publishModule).href);
killAt(Number(n), when);
await publish({ places, epoch: { number: 1, check: () => Promise.resolve() } }, manifest);
