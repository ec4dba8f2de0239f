// What the compiler holds of the client: these tests fail when the code is checked, not when it runs.
import type { RecordBatch } from 'apache-arrow';
import { expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import type { eventRangesShown } from '../../api/event-range-schemas.ts';
import type { costReportShown } from '../../api/report-schemas.ts';
import type * as served from '../../api/schemas.ts';
import type { batchShown, requestShown } from '../../api/work-schemas.ts';
import {
  type BatchInfo,
  type CostReport,
  type DatasetInfo,
  type DatasetSummary,
  type EventBatch,
  type EventRangeAnswer,
  Evoke,
  type GeneratorInfo,
  type PinInfo,
  type Plan,
  type Problem,
  type ProvenanceInfo,
  type RequestInfo,
  type StateRun,
} from '../../client/index.ts';

const evoke = new Evoke('http://127.0.0.1:8080');
const span = { startEvent: 1, lastEvent: 10 };

test('what the service says it answers is what the client says it gets', () => {
  expectTypeOf<z.output<typeof served.generatorShown>>().toExtend<GeneratorInfo>();
  expectTypeOf<z.output<typeof served.datasetDefinition>>().toExtend<DatasetSummary>();
  expectTypeOf<z.output<typeof served.datasetShown>>().toExtend<DatasetInfo>();
  expectTypeOf<z.output<typeof served.pinShown>>().toExtend<PinInfo>();
  expectTypeOf<z.output<typeof served.stateRun>>().toExtend<StateRun>();
  expectTypeOf<z.output<typeof served.planShown>>().toExtend<Plan>();
  expectTypeOf<z.output<typeof served.provenanceShown>>().toExtend<ProvenanceInfo>();
  expectTypeOf<z.output<typeof served.problemShown>>().toExtend<Problem>();
  expectTypeOf<z.output<typeof batchShown>>().toExtend<BatchInfo>();
  expectTypeOf<z.output<typeof requestShown>>().toExtend<RequestInfo>();
  expectTypeOf<z.output<typeof costReportShown>>().toExtend<CostReport>();
  type Ranged = z.output<typeof eventRangesShown>[number];
  expectTypeOf<Pick<Ranged, 'url' | 'heldUntil'>>().toExtend<
    Pick<EventRangeAnswer, 'url'> & { heldUntil?: string | undefined }
  >();
  expectTypeOf<NonNullable<Ranged['state']>>().toEqualTypeOf<Extract<EventRangeAnswer, { url: string }>['state']>();
  expectTypeOf<NonNullable<Ranged['error']>>().toExtend<Problem>();
});

test('the columns that were chosen are the ones a batch has', () => {
  const chosen = evoke.events('demo:zmumu', { ...span, columns: ['event', 'GenPart_pt'] });
  expectTypeOf(chosen).toExtend<AsyncIterable<EventBatch<'event' | 'GenPart_pt'>>>();
  type Batch = EventBatch<'event' | 'GenPart_pt'>;
  expectTypeOf<Parameters<Batch['column']>[0]>().toEqualTypeOf<'event' | 'GenPart_pt'>();
  const all = evoke.events('demo:zmumu', span);
  expectTypeOf(all).toExtend<AsyncIterable<EventBatch<string>>>();
});

test("a column's values are typed by what it is taken for, and numbers where they can be", () => {
  const values = (batch: EventBatch) => {
    expectTypeOf(batch.column('event', 'uint64').values[0]).toEqualTypeOf<bigint | undefined>();
    expectTypeOf(batch.column('pt', 'float32').values).toExtend<Float32Array>();
    expectTypeOf(batch.column('pt', 'float32').of(0)).toExtend<Float32Array>();
    expectTypeOf(batch.column('pt').values[0]).toEqualTypeOf<number | bigint | undefined>();
    expectTypeOf(batch.toArrow()).toEqualTypeOf<RecordBatch>();
  };
  expectTypeOf(values).toBeFunction();
});

test('a declaration, a batch and a cost query refuse what the service would refuse', () => {
  expectTypeOf<{ generator: string; events: number }>().not.toExtend<Parameters<Evoke['declare']>[1]>();
  expectTypeOf<{ dataset: string; priority: string }>().not.toExtend<Parameters<Evoke['createBatch']>[0]>();
  expectTypeOf<{ by: 'week' }>().not.toExtend<NonNullable<Parameters<Evoke['costReport']>[0]>>();
  expectTypeOf<{ startEvent: number }>().not.toExtend<Parameters<Evoke['plan']>[1]>();
});

test('an event range comes back as it was, with where it is or why not', () => {
  type Answer = EventRangeAnswer<{ eventRangeID: string }>;
  expectTypeOf<Answer['eventRangeID']>().toEqualTypeOf<string>();
  expectTypeOf<Answer['url']>().toEqualTypeOf<string | undefined>();
  expectTypeOf<Extract<Answer, { url: string }>['state']>().toEqualTypeOf<StateRun['state']>();
});
