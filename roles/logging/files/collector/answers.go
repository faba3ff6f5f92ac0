package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// What the log host answers, counted, and turned into an error that the exporter tries again.
//
// The exporter drops for good what is answered by 401, 403, 404 or 500. Such an answer says something of the log host or
// of the password, and nothing of the lines.
type answers struct {
	component.StartFunc
	component.ShutdownFunc
	counter metric.Int64Counter
}

var _ extensionmiddleware.HTTPClient = answers{}

func newAnswersFactory() extension.Factory {
	return extension.NewFactory(
		component.MustNewType("answers"),
		func() component.Config { return &struct{}{} },
		func(_ context.Context, settings extension.Settings, _ component.Config) (extension.Extension, error) {
			counter, err := settings.MeterProvider.Meter("counter-platform/collector").Int64Counter(
				"collector_answers",
				metric.WithDescription("Requests by the status of their answer, or why there was none."),
				metric.WithUnit("{request}"),
			)
			return answers{counter: counter}, err
		},
		component.StabilityLevelDevelopment,
	)
}

func (a answers) GetHTTPRoundTripper(context.Context) (extensionmiddleware.WrapHTTPRoundTripperFunc, error) {
	return func(_ context.Context, next http.RoundTripper) (http.RoundTripper, error) {
		return roundTripper{a, next}, nil
	}, nil
}

type roundTripper struct {
	answers
	next http.RoundTripper
}

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err != nil {
		var untrusted *tls.CertificateVerificationError
		if errors.As(err, &untrusted) {
			r.count("certificate")
		} else {
			r.count("none")
		}
		return nil, err
	}
	r.count(strconv.Itoa(response.StatusCode))
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusInternalServerError:
		_, _ = io.CopyN(io.Discard, response.Body, 4096)
		_ = response.Body.Close()
		return nil, fmt.Errorf("the log host answered %s", response.Status)
	}
	return response, nil
}

func (r roundTripper) count(answer string) {
	r.counter.Add(context.Background(), 1, metric.WithAttributes(attribute.String("answer", answer)))
}
