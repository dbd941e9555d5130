/** The sink that a plan asks for. */
import { AppendSink } from './append.js';
import { PartitionSink } from './partition.js';
import { PredictionsSink } from './predictions.js';
import type { Sink, SinkContext } from './sink.js';

const SINKS = { append: AppendSink, partition: PartitionSink, predictions: PredictionsSink } as const;

export function openSink(context: SinkContext): Sink {
  return new SINKS[context.plan.sink.mode](context);
}
