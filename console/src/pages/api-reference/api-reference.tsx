import "rapidoc";
import { Button, useComputedColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { base } from "../../api/client";
import { Page } from "../../parts/page";
import { Failed, Waiting } from "../../parts/states";

/** What of the element is used here. */
interface RapiDoc extends HTMLElement {
  loadSpec: (document: object) => Promise<void>;
}

const DOCUMENT = new URL("api/openapi.json", base).href;

async function readDocument(): Promise<object> {
  const answer = await fetch(DOCUMENT);
  if (!answer.ok) throw new Error(`The server answered with status ${answer.status}.`);
  return (await answer.json()) as object;
}

/** The management API, from the document that the server makes of itself. */
export function ApiReference() {
  const document = useQuery({ queryKey: ["openapi"], queryFn: readDocument, staleTime: Infinity });
  return (
    <Page
      title="API reference"
      actions={
        <Button component="a" variant="default" href={DOCUMENT} download="fanfare-openapi.json">
          Download OpenAPI
        </Button>
      }
    >
      {document.isPending && <Waiting />}
      {document.isError && <Failed error={document.error} again={() => void document.refetch()} />}
      {document.data && <Reference document={document.data} />}
    </Page>
  );
}

/** The library's element, made by hand: React knows nothing of its methods. */
function Reference({ document: described }: { document: object }) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    const element = document.createElement("rapi-doc") as RapiDoc;
    const attributes = {
      "render-style": "view",
      theme: scheme,
      "bg-color": scheme === "light" ? "#ffffff" : "#242424",
      "text-color": scheme === "light" ? "#212529" : "#c9c9c9",
      "primary-color": scheme === "light" ? "#4a3aca" : "#b4a7f5",
      "load-fonts": "false",
      "regular-font": "system-ui, sans-serif",
      "mono-font": "ui-monospace, monospace",
      "show-header": "false",
      "show-info": "false",
      "allow-try": "false",
      "allow-server-selection": "false",
      "allow-authentication": "false",
      "allow-spec-url-load": "false",
      "allow-spec-file-load": "false",
      "schema-style": "table",
      "sort-tags": "false",
    };
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    place.current?.replaceChildren(element);
    void element.loadSpec(structuredClone(described));
    return () => { element.remove(); };
  }, [described, scheme]);
  return <div ref={place} />;
}
