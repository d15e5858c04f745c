// Command manifests reads Kubernetes manifests in YAML from standard input and decodes each one strictly as its type:
// an unknown or doubled field, a wrong type or an unknown kind is an error. Then it checks it with the API server's own
// validation. Kinds of custom resources, which no Go type stands for here, are named with -custom and only listed.
//
// It prints one JSON object a document: the document as the type encodes it and what the Pod Security Standards say to its
// pod, or an error.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"sigs.k8s.io/yaml"
)

type answer struct {
	Index  int             `json:"index"`
	Object json.RawMessage `json:"object,omitempty"`
	Custom bool            `json:"custom,omitempty"`
	Error  string          `json:"error,omitempty"`
	// PodSecurity has, by level, the rules of the Pod Security Standards that forbid the document's pod.
	PodSecurity map[api.Level][]string `json:"podSecurity,omitempty"`
}

func main() {
	custom := flag.String("custom", "", "comma-separated group/Kind of custom resources")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, kinds(*custom)); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

func kinds(list string) map[string]bool {
	set := map[string]bool{}
	for _, kind := range strings.Split(list, ",") {
		set[kind] = true
	}
	return set
}

func run(in io.Reader, out io.Writer, custom map[string]bool) error {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(in))
	encoder := json.NewEncoder(out)
	for index := 0; ; index++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if isEmpty(document) {
			continue
		}
		result := decode(decoder, document, custom)
		result.Index = index
		if err := encoder.Encode(result); err != nil {
			return err
		}
	}
}

// isEmpty tells whether a document has nothing but comments.
func isEmpty(document []byte) bool {
	var value any
	return yaml.Unmarshal(document, &value) == nil && value == nil
}

func decode(decoder runtime.Decoder, document []byte, custom map[string]bool) answer {
	plain, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return answer{Error: err.Error()}
	}
	var meta struct{ APIVersion, Kind string }
	if err := json.Unmarshal(plain, &meta); err != nil {
		return answer{Error: err.Error()}
	}
	group := schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind).GroupKind()
	if custom[group.Group+"/"+group.Kind] {
		return answer{Custom: true, Object: plain}
	}
	object, _, err := decoder.Decode(document, nil, nil)
	if err != nil {
		return answer{Error: fmt.Sprintf("%s %s: %v", meta.APIVersion, meta.Kind, err)}
	}
	if err := validate(document); err != nil {
		return answer{Error: fmt.Sprintf("%s %s: %v", meta.APIVersion, meta.Kind, err)}
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		return answer{Error: err.Error()}
	}
	forbidden, err := podSecurity(object)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Object: encoded, PodSecurity: forbidden}
}
