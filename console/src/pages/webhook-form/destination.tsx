import { Alert, Radio, Select, Stack, TextInput } from "@mantine/core";
import { fieldProblem } from "../../api/client";
import type { PartProps } from "./part";
import { Secret } from "./secret";
import { SEGMENT_REGIONS } from "./values";

interface DestinationProps extends PartProps {
  isNew: boolean;
  /** The secret or the write key that is set ends so; undefined when none is set. */
  secretEnd: string | undefined;
}

/** Where events go, and by what the receiver knows that they are genuine. */
export function Destination({ values, set, error, isNew, secretEnd }: DestinationProps) {
  return (
    <>
      {isNew && (
        <Radio.Group label="Type" value={values.type} onChange={(type) => { set("type", type === "segment" ? "segment" : "url"); }} error={fieldProblem(error, "type")}>
          <Stack gap="xs" mt="xs">
            <Radio value="url" label="URL" description="Signed requests to any address." />
            <Radio value="segment" label="Twilio Segment" description="Track calls to a source of yours." />
          </Stack>
        </Radio.Group>
      )}
      {values.type === "segment" ? (
        <Segment values={values} set={set} error={error} isNew={isNew} secretEnd={secretEnd} />
      ) : (
        <>
          <TextInput
            label="URL"
            description="http or https. It is used exactly as you enter it."
            placeholder="https://example.com/webhooks/fanfare"
            required
            value={values.url}
            onChange={(event) => { set("url", event.currentTarget.value); }}
            error={fieldProblem(error, "url")}
            spellCheck={false}
          />
          <Secret values={values} set={set} isNew={isNew} end={secretEnd} error={error} />
        </>
      )}
    </>
  );
}

function Segment({ values, set, error, isNew, secretEnd }: DestinationProps) {
  const isKnown = SEGMENT_REGIONS.some(({ value }) => value === values.endpoint);
  const regions = isKnown ? SEGMENT_REGIONS : [...SEGMENT_REGIONS, { value: values.endpoint, label: values.endpoint }];
  const says = secretEnd === undefined ? "Of an HTTP API source in Segment." : `One is set${secretEnd === "" ? "" : `, ending in ${secretEnd}`}. Left empty, it stays.`;
  return (
    <>
      <TextInput
        label="Write key"
        description={says}
        required={isNew}
        value={values.writeKey}
        onChange={(event) => { set("writeKey", event.currentTarget.value); }}
        error={fieldProblem(error, "write_key")}
        autoComplete="off"
        spellCheck={false}
      />
      <Select
        label="Region of the workspace"
        data={regions}
        value={values.endpoint}
        onChange={(chosen) => { if (chosen !== null) set("endpoint", chosen); }}
        allowDeselect={false}
        error={fieldProblem(error, "endpoint")}
      />
      <Alert color="blue" variant="light">
        Segment answers 200 also when the write key or the region is wrong. After a test, look in the source&apos;s Debugger for a track call named
        ping.
      </Alert>
    </>
  );
}
